// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// lineage is main and its branches under settings that change.
type lineage struct {
	*store
	settings merge.Settings
	clock    int
	heads    map[string]gitobj.ID
	known    map[string]*merge.History
	commits  int // merge commits
}

func newLineage(t rapid.TB, start map[string][]byte, branches ...string) *lineage {
	t.Helper()
	l := &lineage{store: newStore(), heads: map[string]gitobj.ID{}, known: map[string]*merge.History{}}
	root := l.commit(l.edit(t, gitobj.Zero, start), 0)
	for _, name := range append(branches, "main") {
		l.heads[name] = root
		l.known[name] = merge.NewHistory(l)
	}
	return l
}

func (l *lineage) write(t rapid.TB, branch, key string, value []byte) {
	t.Helper()
	l.clock++
	l.heads[branch] = l.commit(l.edit(t, l.tree(t, l.heads[branch]), map[string][]byte{key: value}), l.clock, l.heads[branch])
}

// take merges a branch into another, as hub and heavens do.
func (l *lineage) take(t rapid.TB, into, from string) merge.Merged {
	t.Helper()
	m, err := l.known[into].Merge(context.Background(), l.heads[into], l.heads[from], l.settings.Policy(into, from, "main"))
	if err != nil {
		t.Fatal(err)
	}
	switch m.Relation {
	case merge.Equal, merge.OursAhead:
		return m
	case merge.TheirsAhead:
		l.heads[into] = l.heads[from]
		return m
	case merge.Diverged, merge.Unrelated:
	}
	l.clock++
	l.commits++
	tree := l.apply(t, l.tree(t, l.heads[into]), m.Changes)
	if len(l.settings.Branches) == 0 {
		l.swapped(t, into, from, tree)
	}
	who := gitobj.Signature{Name: "test", When: unixTime(l.clock)}
	l.heads[into] = l.put(gitobj.KindCommit, gitobj.Commit{
		Tree: tree, Parents: []gitobj.ID{l.heads[into], l.heads[from]}, Author: who, Committer: who,
		Message: fmt.Sprintf("merge %s into %s\n\n%s", from, into, m.Trailer()),
	}.Encode())
	return m
}

// swapped has the other place merge the same heads: law M1.
func (l *lineage) swapped(t rapid.TB, into, from string, tree gitobj.ID) {
	t.Helper()
	m, err := merge.NewHistory(l).Merge(context.Background(), l.heads[from], l.heads[into], l.settings.Policy(from, into, "main"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Relation == merge.OursAhead { // what was held back of the other side only
		return
	}
	if other := l.apply(t, l.tree(t, l.heads[from]), m.Changes); other != tree {
		t.Fatalf("merge of %s and %s is not symmetric: %s", into, from, cmp.Diff(l.values(t, tree), l.values(t, other)))
	}
}

func unixTime(at int) time.Time { return time.Unix(int64(at), 0).UTC() }

// has compares what a branch has.
func (l *lineage) has(t rapid.TB, branch string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for key, value := range l.values(t, l.tree(t, l.heads[branch])) {
		got[key] = string(value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: %s", branch, diff)
	}
}

// TestHeldBack narrates what becomes of a key that a filter leaves out.
func TestHeldBack(t *testing.T) {
	l := newLineage(t, map[string][]byte{"/a": []byte("0"), "/x/k": []byte("0")}, "heavens/a", "heavens/b")
	out := merge.Settings{Branches: []merge.BranchSettings{{Branch: "heavens/a", ToMain: merge.Filter{Exclude: []string{"/x/"}}}}}

	l.settings = out
	l.write(t, "heavens/a", "/x/k", []byte("1"))
	l.write(t, "heavens/a", "/x/new", []byte("1"))
	l.write(t, "heavens/a", "/a", []byte("1"))
	if m := l.take(t, "main", "heavens/a"); m.Relation != merge.Diverged || !strings.HasPrefix(m.Trailer(), "Held-Back: ") {
		t.Fatalf("%s %q", m.Relation, m.Trailer())
	}
	l.has(t, "main", map[string]string{"/a": "1", "/x/k": "0"})
	l.take(t, "heavens/a", "main") // main must not seem to have undone what it never had
	l.has(t, "heavens/a", map[string]string{"/a": "1", "/x/k": "1", "/x/new": "1"})

	l.write(t, "heavens/b", "/b", []byte("1")) // others write on, and nothing of it goes to and fro for ever
	l.write(t, "heavens/b", "/x/k2", []byte("b"))
	for range 5 {
		for _, branch := range []string{"heavens/a", "heavens/b"} {
			l.take(t, "main", branch)
			l.take(t, branch, "main")
		}
	}
	made := l.commits
	for range 3 {
		for _, branch := range []string{"heavens/a", "heavens/b"} {
			l.take(t, "main", branch)
			l.take(t, branch, "main")
		}
	}
	if l.commits != made {
		t.Errorf("%d merges of nothing", l.commits-made)
	}
	l.has(t, "main", map[string]string{"/a": "1", "/b": "1", "/x/k": "0", "/x/k2": "b"})
	l.has(t, "heavens/a", map[string]string{"/a": "1", "/b": "1", "/x/k": "1", "/x/k2": "b", "/x/new": "1"})

	l.write(t, "main", "/x/other", []byte("m"))
	l.settings = merge.Settings{} // the filter is lifted
	if m := l.take(t, "main", "heavens/a"); len(m.Conflicts) > 0 {
		t.Fatal(m.Conflicts)
	}
	all := map[string]string{"/a": "1", "/b": "1", "/x/k": "1", "/x/k2": "b", "/x/new": "1", "/x/other": "m"}
	l.has(t, "main", all)
	l.take(t, "heavens/a", "main")
	l.has(t, "heavens/a", all)

	l.write(t, "heavens/a", "/x/k", []byte("2")) // and from now on it is as any other
	l.take(t, "main", "heavens/a")
	all["/x/k"] = "2"
	l.has(t, "main", all)
}

// TestHeldForTheBranch leaves a key out on the way from main.
func TestHeldForTheBranch(t *testing.T) {
	l := newLineage(t, map[string][]byte{"/a": []byte("0"), "/x/k": []byte("0"), "/x/gone": []byte("0")}, "heavens/a")
	l.settings = merge.Settings{Branches: []merge.BranchSettings{{Branch: "*", FromMain: merge.Filter{Include: []string{"/a"}}}}}
	l.write(t, "main", "/x/k", []byte("1"))
	l.write(t, "main", "/x/gone", nil)
	l.write(t, "main", "/a", []byte("1"))
	l.take(t, "heavens/a", "main")
	l.has(t, "heavens/a", map[string]string{"/a": "1", "/x/k": "0", "/x/gone": "0"})
	if m := l.take(t, "main", "heavens/a"); m.Relation != merge.OursAhead {
		t.Fatal(m.Relation)
	}
	l.write(t, "heavens/a", "/a", []byte("2"))
	l.take(t, "main", "heavens/a")
	l.has(t, "main", map[string]string{"/a": "2", "/x/k": "1"})
	l.settings = merge.Settings{}
	l.take(t, "heavens/a", "main")
	l.has(t, "heavens/a", map[string]string{"/a": "2", "/x/k": "1"})
}

// TestFiltersLoseNothing lets branches write under filters that come and go,
// each its own key below each prefix. Once the filters are lifted and all have
// exchanged, everybody has everything, and nobody has found a conflict: a key
// with one writer has none, however it was held back.
func TestFiltersLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		branches := []string{"heavens/a", "heavens/b", "heavens/c"}
		prefixes := []string{"/p", "/q", "/r"}
		l := newLineage(t, map[string][]byte{"/start": []byte("0")}, branches...)
		want := map[string]string{"/start": "0"}
		filter := func(label string) merge.Filter {
			var f merge.Filter
			for _, prefix := range prefixes {
				if rapid.IntRange(0, 2).Draw(t, label) == 0 {
					f.Exclude = append(f.Exclude, prefix+"/")
				}
			}
			if rapid.IntRange(0, 5).Draw(t, label) == 0 {
				f.Include = []string{"/p/", "/start"}
			}
			return f
		}
		exchange := func(who string) {
			if rapid.Bool().Draw(t, "to main") {
				if m := l.take(t, "main", who); len(m.Conflicts) > 0 {
					t.Fatalf("main takes %s: %v", who, m.Conflicts)
				}
				return
			}
			if m := l.take(t, who, "main"); len(m.Conflicts) > 0 {
				t.Fatalf("%s takes main: %v", who, m.Conflicts)
			}
		}
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			who := rapid.SampledFrom(branches).Draw(t, "who")
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1:
				key := rapid.SampledFrom(prefixes).Draw(t, "prefix") + "/" + strings.TrimPrefix(who, "heavens/")
				if _, ok := want[key]; ok && rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
					delete(want, key)
					l.write(t, who, key, nil)
					continue
				}
				want[key] = fmt.Sprint(i)
				l.write(t, who, key, []byte(want[key]))
			case 2:
				l.settings.Branches = append([]merge.BranchSettings{{
					Branch: who, ToMain: filter("to main"), FromMain: filter("from main"),
				}}, l.settings.Branches...)
			case 3:
				l.settings = merge.Settings{}
			default:
				exchange(who)
			}
		}
		l.settings = merge.Settings{}
		for range 3 {
			for _, who := range branches {
				for _, step := range [][2]string{{"main", who}, {who, "main"}} {
					if m := l.take(t, step[0], step[1]); len(m.Conflicts) > 0 {
						t.Fatalf("%s takes %s: %v", step[0], step[1], m.Conflicts)
					}
				}
			}
		}
		for _, who := range append(branches, "main") {
			l.has(t, who, want)
		}
		made := l.commits
		for _, who := range branches {
			l.take(t, "main", who)
			l.take(t, who, "main")
		}
		if l.commits != made {
			t.Fatalf("%d merges of nothing", l.commits-made)
		}
	})
}
