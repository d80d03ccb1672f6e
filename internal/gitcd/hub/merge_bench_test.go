// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// BenchmarkMerge merges a branch that changed 10 keys into a main of 100,000
// keys that has moved meanwhile, from the search for the base to the new tree, as a pass does.
func BenchmarkMerge(b *testing.B) {
	for _, shape := range []struct{ directories, names int }{{1000, 100}, {10, 10_000}, {1, 100_000}} {
		b.Run(fmt.Sprintf("%dx%d", shape.directories, shape.names), func(b *testing.B) { benchmarkMerge(b, shape.directories, shape.names) })
	}
}

func benchmarkMerge(b *testing.B, directories, names int) {
	b.Helper()
	key := func(i int) string {
		return fmt.Sprintf("/registry/pods/ns-%04d/pod-%06d", i%directories, i/directories%names)
	}
	j, err := journal.Open(b.Context(), &vfs.Mem{}, "hub", journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := serve(b, j, hub.Options{})
	a := r.author("heavens/a")
	keys := map[string]string{}
	for i := range directories * names {
		keys[key(i)] = fmt.Sprint(i)
	}
	base := a.commit(keys)
	change := func(from gitobj.ID, at, n int) gitobj.ID {
		c, err := commitAt(a, from)
		if err != nil {
			b.Fatal(err)
		}
		a.head, a.tree = from, c.Tree
		edits := map[string]string{}
		for i := range 10 {
			edits[key(at+i*(directories*names/10+1))] = fmt.Sprint("changed ", n)
		}
		return a.commit(edits)
	}
	store := transport.NewRecent(a, 64<<20)
	history, editor := merge.NewHistory(store), treeedit.New(store, gitobj.Zero)
	main, theirs := change(base, 1, -1), make([]gitobj.ID, 64)
	for i := range theirs {
		theirs[i] = change(base, 5+i, i)
	}
	ctx, began, n := context.Background(), spent(b), 0
	for i := 0; b.Loop(); i++ {
		n++
		head := theirs[i%len(theirs)]
		m, err := history.Merge(ctx, main, head, merge.Policy{Ours: "main", Theirs: "heavens/a"})
		if err != nil || len(m.Changes) != 10 || len(m.Conflicts) != 0 {
			b.Fatal(len(m.Changes), len(m.Conflicts), err)
		}
		c, err := commitAt(store, main)
		if err != nil {
			b.Fatal(err)
		}
		editor.Reset(c.Tree)
		if _, err := merge.Apply(ctx, editor, m.Changes, func(treeedit.Object) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((spent(b)-began).Microseconds())/1000/float64(n), "cpu-ms/op")
}

// spent returns the processor time of this process, which other processes on the machine do not change.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func commitAt(r transport.Objects, id gitobj.ID) (gitobj.Commit, error) {
	_, data, err := r.Get(id)
	if err != nil {
		return gitobj.Commit{}, err
	}
	return gitobj.DecodeCommit(data)
}
