// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// links say for each peer whom it pulls from. In all of them everybody hears of everybody.
var links = map[string][][]int{
	"a pair": {{1}, {0}},
	"a ring": {{2}, {0}, {1}},
	"all":    {{1, 2}, {0, 2}, {0, 1}},
	"a line": {{1}, {0, 2}, {1}},
}

// TestPeersConverge lets two or three peers without an integrator write, look at
// each other and merge what they saw, in any order; not to look is to be cut off.
// Then writes stop and the links are up: after some rounds in any order all have
// one tree, and nothing is lost that is not on record. The branches have names
// of their own, or are copies of one.
func TestPeersConverge(t *testing.T) {
	for name, from := range links {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := newPeers(t, from)
				for range rapid.IntRange(1, 120).Draw(t, "steps") {
					i := rapid.IntRange(0, len(from)-1).Draw(t, "peer")
					k := rapid.SampledFrom(from[i]).Draw(t, "from")
					switch rapid.IntRange(0, 3).Draw(t, "step") {
					case 0, 1:
						p.write(t, p.heavens[i])
					case 2:
						p.seen[i][k] = p.heavens[k].head
					default:
						p.take(t, i, k)
					}
				}
				p.settle(t)
			})
		})
	}
}

// TestPeersInStep has all peers look at each other in one moment and then merge
// in one moment, again and again: the worst order that there is. They have one
// tree for all that, though each goes on making merge commits of it.
func TestPeersInStep(t *testing.T) {
	for name, from := range links {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := newPeers(t, from)
				for range rapid.IntRange(1, 20).Draw(t, "writes") {
					p.write(t, p.heavens[rapid.IntRange(0, len(from)-1).Draw(t, "peer")])
				}
				for range 4 {
					p.look()
					for i := range from {
						for _, k := range from[i] {
							p.take(t, i, k)
						}
					}
				}
				p.alike(t)
			})
		})
	}
}

// peers pull from each other; main is nobody's.
type peers struct {
	*world
	from [][]int
	seen []map[int]gitobj.ID // what a peer has seen of the others
}

func newPeers(t *rapid.T, from [][]int) *peers {
	t.Helper()
	p := &peers{world: newWorld(t, len(from)), from: from}
	copies := rapid.Bool().Draw(t, "copies of one branch")
	for i, who := range p.heavens {
		who.branch = string(rune('a' + i))
		if copies {
			who.branch = "state"
		}
		p.seen = append(p.seen, map[int]gitobj.ID{})
	}
	p.look()
	if rapid.Bool().Draw(t, "preferring") {
		p.settings.Branches = []merge.BranchSettings{
			{Branch: "b", Prefer: []merge.Preference{{Key: "/k/a", Take: merge.Ours}, {Path: ".data.x", Take: merge.Theirs}}},
			{Branch: "*", Prefer: []merge.Preference{{Path: ".data.y", Take: merge.Ours}}},
		}
	}
	return p
}

// look has everybody see whom they pull from.
func (p *peers) look() {
	for i := range p.from {
		for _, k := range p.from[i] {
			p.seen[i][k] = p.heavens[k].head
		}
	}
}

// take has a peer merge what it saw of another.
func (p *peers) take(t *rapid.T, i, k int) {
	t.Helper()
	who := p.heavens[i]
	who.head = p.merge(t, who.history, who.head, p.seen[i][k], who.branch, p.heavens[k].branch)
}

// settle lets everybody pull in orders that are drawn, until all have one commit.
func (p *peers) settle(t *rapid.T) {
	t.Helper()
	var all [][2]int
	for i := range p.from {
		for _, k := range p.from[i] {
			all = append(all, [2]int{i, k})
		}
	}
	for range 12 {
		for _, link := range rapid.Permutation(all).Draw(t, "order") {
			p.seen[link[0]][link[1]] = p.heavens[link[1]].head
			p.take(t, link[0], link[1])
		}
	}
	p.alike(t)
	p.main = p.heavens[0].head
	p.check(t)
}

// alike compares the trees.
func (p *peers) alike(t *rapid.T) {
	t.Helper()
	want := p.tree(t, p.heavens[0].head)
	for i, who := range p.heavens {
		if got := p.tree(t, who.head); got != want {
			t.Fatalf("peer %d has another tree than the first: %s", i, cmp.Diff(p.values(t, want), p.values(t, got)))
		}
	}
}
