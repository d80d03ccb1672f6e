// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"errors"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// TestClone opens a log that has a head but no records.
func TestClone(t *testing.T) {
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{Branch: branch, Epoch: 1})
	do(t, s, put("/b", "1"), put("/a", "1"), put("/a/b", "1"), put("/registry/health", "1"))
	head := flush(t, s)
	s = open(t, cloned(t, log, head), mvcc.Options{Branch: branch, Epoch: 5})
	const base = int64(5) << 40
	list, err := s.Range(t.Context(), mvcc.RangeRequest{Key: "\x00", End: "\x00"})
	if err != nil || len(list.KVs) != 3 || list.Revision != base+3 || s.CompactRevision() != base+3 {
		t.Fatalf("%+v, compacted %d, %v", list, s.CompactRevision(), err)
	}
	for i, want := range []string{"/a", "/a/b", "/b"} {
		if kv := list.KVs[i]; kv.Key != want || kv.ModRevision != base+int64(i)+1 || kv.Version != 1 || string(kv.Value) != "1" {
			t.Errorf("%d: %+v", i, kv)
		}
	}
	if _, err := s.Range(t.Context(), mvcc.RangeRequest{Key: "/a", Revision: 3}); !errors.Is(err, mvcc.ErrCompacted) {
		t.Errorf("old revision: %v", err)
	}
	r, err := s.Txn(t.Context(), mvcc.Txn{If: []mvcc.Compare{{Key: "/a", Target: mvcc.CompareValue, Value: []byte("1")}}, Then: put("/a", "2").Then})
	if err != nil || !r.Succeeded {
		t.Errorf("compare with a value from the clone: %+v, %v", r, err)
	}
	if have := subjects(t, log, head); len(have) == 0 {
		t.Error("no history")
	}
}

// cloned copies what a head reaches, as git clone does.
func cloned(t *testing.T, log mvcc.Log, head gitobj.ID) *mvcc.MemLog {
	t.Helper()
	out := &mvcc.MemLog{}
	frame := mvcc.Frame{Refs: []mvcc.RefUpdate{{Name: branch, New: head}}}
	var tree func(id gitobj.ID)
	keep := func(id gitobj.ID) []byte {
		kind, data, err := log.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		frame.Objects = append(frame.Objects, mvcc.Object{Kind: kind, ID: id, Data: data})
		return data
	}
	tree = func(id gitobj.ID) {
		entries, err := gitobj.DecodeTree(keep(id))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				tree(e.ID)
			} else {
				keep(e.ID)
			}
		}
	}
	ids, all := commits(t, log, head)
	for i, c := range all {
		keep(ids[i])
		tree(c.Tree)
	}
	if _, err := out.Append(t.Context(), []mvcc.Frame{frame}, true); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForeignHead moves the branch behind the store's back.
func TestForeignHead(t *testing.T) {
	log := &mvcc.MemLog{}
	o := mvcc.Options{Branch: branch, Epoch: 1}
	s := open(t, log, o)
	do(t, s, put("/a", "1"), put("/b", "1"))
	head := flush(t, s)
	other := open(t, cloned(t, log, head), mvcc.Options{Branch: branch, Epoch: 2, Holder: "other"})
	do(t, other, put("/a", "2"))
	theirs := flush(t, other)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	fetch(t, log, other, theirs)
	if _, err := log.Append(t.Context(), []mvcc.Frame{{Refs: []mvcc.RefUpdate{{Name: branch, Old: head, New: theirs}}}}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := mvcc.Open(t.Context(), log, o); !errors.Is(err, mvcc.ErrForeignHead) {
		t.Errorf("open with the old epoch: %v", err)
	}
	o.Epoch = 3
	for range 2 { // and again, as after a restart
		s = open(t, log, o)
		if have := get(t, s, "/a", 0); have != "2" || s.Revision() != 3<<40+2 {
			t.Errorf("%q at revision %d", have, s.Revision())
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTakenAgain has the exchange put an epoch's commit on the head: revisions go on.
func TestTakenAgain(t *testing.T) {
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{Branch: branch, Epoch: 1})
	do(t, s, put("/a", "1"), put("/b", "1"))
	head := flush(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, all := commits(t, log, head)
	data := gitobj.Commit{Tree: all[0].Tree, Parents: []gitobj.ID{head}, Message: "take the branch for epoch 2\n\nEpoch: 2\nHolder: h\n"}.Encode()
	taken := gitobj.Hash(gitobj.KindCommit, data)
	frame := mvcc.Frame{Objects: []mvcc.Object{{Kind: gitobj.KindCommit, ID: taken, Data: data}}, Refs: []mvcc.RefUpdate{{Name: branch, Old: head, New: taken}}}
	if _, err := log.Append(t.Context(), []mvcc.Frame{frame}, true); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = open(t, log, mvcc.Options{Branch: branch, Epoch: 2, Holder: "h"})
		if s.Revision() != 3 || s.Head() != taken {
			t.Errorf("revision %d, head %s, want 3 and %s", s.Revision(), s.Head(), taken)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
