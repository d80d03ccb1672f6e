// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// fetch copies everything that a head reaches from another store's log.
func fetch(t *testing.T, to mvcc.Log, from *mvcc.Store, head gitobj.ID) {
	t.Helper()
	source := mvcc.LogOf(from)
	c := cloned(t, source, head)
	ids, _ := commits(t, c, head)
	var frame mvcc.Frame
	seen := map[gitobj.ID]bool{}
	var add func(id gitobj.ID)
	add = func(id gitobj.ID) {
		if seen[id] {
			return
		}
		seen[id] = true
		kind, data, err := c.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		frame.Objects = append(frame.Objects, mvcc.Object{Kind: kind, ID: id, Data: data})
		if kind == gitobj.KindCommit {
			commit, err := gitobj.DecodeCommit(data)
			if err != nil {
				t.Fatal(err)
			}
			add(commit.Tree)
		}
		if kind == gitobj.KindTree {
			entries, err := gitobj.DecodeTree(data)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				add(e.ID)
			}
		}
	}
	for _, id := range ids {
		add(id)
	}
	if _, err := to.Append(t.Context(), []mvcc.Frame{frame}, true); err != nil {
		t.Fatal(err)
	}
}

// TestMerge joins a branch in all ways there are.
func TestMerge(t *testing.T) {
	ours := &mvcc.MemLog{}
	s := open(t, ours, mvcc.Options{Branch: branch, Epoch: 1})
	do(t, s, put("/a", "1"), put("/b", "1"), put("/c", "1"))
	base := flush(t, s)
	other := open(t, cloned(t, ours, base), mvcc.Options{Branch: branch, Epoch: 2, Holder: "other"})
	do(t, other, put("/a", "2"), remove("/b"), put("/d", "1"))
	theirs := flush(t, other)
	fetch(t, ours, other, theirs)

	view, err := s.MergeView(t.Context())
	if err != nil || view.Head != base || view.Revision != 4 {
		t.Fatalf("%+v, %v", view, err)
	}
	changes := []mvcc.KeyChange{
		{Key: "/a", Expect: view.ModRevision("/a"), Value: []byte("2")},
		{Key: "/b", Expect: view.ModRevision("/b"), Delete: true},
		{Key: "/d", Expect: view.ModRevision("/d"), Value: []byte("1")},
		{Key: "/registry/health", Expect: 0, Value: []byte("theirs")},
	}
	do(t, s, put("/a", "mine"))
	m := mvcc.Merge{Theirs: theirs, Base: base, Changes: changes, Message: "merge other"}
	var stale *mvcc.StaleError
	if _, err := s.Merge(t.Context(), m); !errors.As(err, &stale) || !slices.Equal(stale.Keys, []string{"/a"}) || !errors.Is(err, mvcc.ErrStale) {
		t.Fatalf("merge of a stale view: %v", err)
	}
	if rev := s.Revision(); rev != 5 {
		t.Fatalf("a stale merge changed something: revision %d", rev)
	}
	w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0"})
	m.Changes[0].Expect, m.Changes[0].Value = 5, []byte("both")
	r, err := s.Merge(t.Context(), m)
	if err != nil || r.Revision != 8 || r.FastForward || r.Head != s.Head() {
		t.Fatalf("%+v, %v", r, err)
	}
	if have := brief(next(t, w)); have != "+/a@6 -/b@7 +/d@8 " {
		t.Errorf("events %s", have)
	}
	_, all := commits(t, ours, r.Head)
	if len(all[0].Parents) != 2 || all[0].Parents[1] != theirs || !strings.HasPrefix(all[0].Message, "merge other\n\nEpoch: 1\n") {
		t.Errorf("commit %+v", all[0])
	}
	if have, want := fmt.Sprint(files(t, ours, r.Head)), "map[/a:both /c:1 /d:1]"; have != want {
		t.Errorf("tree %s, want %s", have, want)
	}

	fetch(t, mvcc.LogOf(other), s, r.Head)
	view, err = other.MergeView(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r2, err := other.Merge(t.Context(), mvcc.Merge{
		Theirs: r.Head, Base: theirs, Message: "merge",
		Changes: []mvcc.KeyChange{{Key: "/a", Expect: view.ModRevision("/a"), Value: []byte("both")}},
	})
	if err != nil || !r2.FastForward || r2.Head != r.Head || r2.Revision != view.Revision+1 {
		t.Fatalf("fast forward: %+v, %v", r2, err)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	other = open(t, mvcc.LogOf(other), mvcc.Options{Branch: branch, Epoch: 2, Holder: "other"})
	if other.Head() != r.Head || get(t, other, "/a", 0) != "both" {
		t.Errorf("after restart: head %s, want %s", other.Head(), r.Head)
	}
	if _, err := s.Merge(t.Context(), mvcc.Merge{Theirs: gitobj.Hash(gitobj.KindBlob, nil)}); err == nil {
		t.Error("merged what is not there")
	}
}
