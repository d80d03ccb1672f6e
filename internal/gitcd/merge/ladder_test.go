// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// ladder is a heaven and main that cross in flight, round after round: each
// merges what the other had a round before, and writes on.
//
//	main    o ─ m1 ─ M1 ─ m2 ─ M2 ─ ...     M1 = merge of m1 and h1, then m2 is written
//	heaven  └── h1 ─ H1 ─ h2 ─ H2 ─ ...     H1 = merge of h1 and m1, then h2 is written
type ladder struct {
	*store
	heaven, main gitobj.ID
	clock        int
	// busy says that main takes in more before it merges the heaven's: so the
	// two never have one tree, and bases are to be followed all the way down.
	busy bool
}

// rung adds a round, in which both write a key of their own.
func (l *ladder) rung(t rapid.TB, mine, its *merge.History) {
	t.Helper()
	write := func(head gitobj.ID, key string) gitobj.ID {
		l.clock++
		tree := l.edit(t, l.tree(t, head), map[string][]byte{key: object(key, fmt.Sprint(l.clock), "")})
		return l.commit(tree, l.clock, head)
	}
	join := func(h *merge.History, ours, theirs gitobj.ID, p merge.Policy) gitobj.ID {
		m, err := h.Merge(context.Background(), ours, theirs, p)
		if err != nil || len(m.Conflicts) > 0 {
			t.Fatal(err, m.Conflicts)
		}
		l.clock++
		return l.commit(l.apply(t, l.tree(t, ours), m.Changes), l.clock, ours, theirs)
	}
	h, m := write(l.heaven, "/h"), write(l.main, "/m")
	l.heaven = join(mine, h, m, apart)
	if l.busy {
		m = write(write(m, "/m"), "/n")
	}
	l.main = join(its, m, h, merge.Policy{Ours: "main", Theirs: "heavens/a"})
}

func newLadder(t rapid.TB, rungs int, busy bool) *ladder {
	t.Helper()
	l := &ladder{store: newStore(), busy: busy}
	start := map[string][]byte{"/h": object("/h", "0", ""), "/m": object("/m", "0", "")}
	for i := range 1000 {
		start[fmt.Sprintf("/registry/pods/default/p-%d", i)] = []byte("x")
	}
	l.main = l.commit(l.edit(t, gitobj.Zero, start), 0)
	l.heaven = l.main
	mine, its := merge.NewHistory(l), merge.NewHistory(l)
	for range rungs {
		l.rung(t, mine, its)
	}
	return l
}

// TestLadder climbs for long, and then starts anew, as after a restart: keys
// with one writer must still not conflict.
func TestLadder(t *testing.T) {
	for _, busy := range []bool{false, true} {
		l := newLadder(t, 300, busy)
		l.rung(t, merge.NewHistory(l), merge.NewHistory(l))
		m, err := merge.NewHistory(l).Merge(t.Context(), l.heaven, l.main, apart)
		if err != nil || len(m.Conflicts) > 0 {
			t.Fatal(err, m.Conflicts)
		}
		if got, want := l.apply(t, l.tree(t, l.heaven), m.Changes), l.tree(t, l.main); got != want {
			t.Errorf("busy %v: the heaven has %s, main %s", busy, got, want)
		}
	}
}

func BenchmarkLadder(b *testing.B) {
	for _, name := range []string{"remembered", "restarted"} {
		b.Run(name, func(b *testing.B) {
			l := newLadder(b, 200, true)
			mine, its := merge.NewHistory(l), merge.NewHistory(l)
			l.rung(b, mine, its)
			for b.Loop() {
				if name == "restarted" {
					mine, its = merge.NewHistory(l), merge.NewHistory(l)
				}
				l.rung(b, mine, its)
			}
		})
	}
}
