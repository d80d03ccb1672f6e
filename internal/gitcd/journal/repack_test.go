// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// keepNone is for a checkpoint that names nothing.
func keepNone([]byte, func(gitobj.Kind, gitobj.ID)) error { return nil }

// renewals is a history in which a few keys change again and again.
type renewals struct {
	files  gitobj.Tree
	tree   []byte
	treeID gitobj.ID
	head   gitobj.ID
	n      int
}

func lease(key, n int) []byte {
	return fmt.Appendf(nil, "{\n  \"kind\": \"Lease\",\n  \"name\": \"node-%d\",\n  \"holder\": \"%032x\",\n  \"renewTime\": \"2026-11-%02dT%02d:%02d:00.%06dZ\",\n  \"seconds\": 40\n}\n",
		key, key, n/1440%28, n/60%24, n%60, n)
}

// next returns the frame that renews one of a number of keys, with a blob that no tree names beside it.
func (h *renewals) next(keys int) journal.Frame {
	key := h.n % keys
	h.n++
	blob := object(gitobj.KindBlob, lease(key, h.n))
	if len(h.files) <= key {
		h.files = append(h.files, gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("node-%06d", key)})
	}
	h.files[key].ID = blob.ID
	tree := object(gitobj.KindTree, h.files.Encode())
	if h.tree != nil {
		tree.Base, tree.Delta = h.treeID, pack.Delta(h.tree, tree.Data)
	}
	who := gitobj.Signature{Name: "tester", Email: "tester@localhost", When: time.Unix(int64(1_700_000_000+h.n), 0)}
	c := gitobj.Commit{Tree: tree.ID, Author: who, Committer: who, Message: fmt.Sprintf("renew %d\n", h.n)}
	if h.n > 1 {
		c.Parents = []gitobj.ID{h.head}
	}
	commit := object(gitobj.KindCommit, c.Encode())
	f := journal.Frame{
		Record:  fmt.Appendf(nil, "record %d", h.n),
		Objects: []pack.Object{blob, object(gitobj.KindBlob, loneBlob(h.n)), tree, commit},
		Refs:    []journal.RefUpdate{{Name: mainRef, Old: h.head, New: commit.ID}},
	}
	h.tree, h.treeID, h.head = tree.Data, tree.ID, commit.ID
	return f
}

func loneBlob(n int) []byte { return fmt.Appendf(nil, "local %d", n) }

func object(kind gitobj.Kind, data []byte) pack.Object {
	return pack.Object{Kind: kind, ID: gitobj.Hash(kind, data), Data: data}
}

// reached returns how many objects the refs reach. All must be there, and true.
func reached(tb testing.TB, j *journal.Journal) map[gitobj.ID]bool {
	tb.Helper()
	seen := map[gitobj.ID]bool{}
	var todo []gitobj.ID
	for _, id := range j.Refs("") {
		todo = append(todo, id)
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		kind, data, err := j.Get(id)
		if err != nil || gitobj.Hash(kind, data) != id {
			tb.Fatalf("%s is reached: %v", id, err)
		}
		switch kind {
		case gitobj.KindCommit:
			c, err := gitobj.DecodeCommit(data)
			if err != nil {
				tb.Fatal(err)
			}
			todo = append(append(todo, c.Tree), c.Parents...)
		case gitobj.KindTree:
			tree, err := gitobj.DecodeTree(data)
			if err != nil {
				tb.Fatal(err)
			}
			for _, e := range tree {
				todo = append(todo, e.ID)
			}
		default: // names nothing
		}
	}
	return seen
}

func packFiles(m *vfs.Mem) (packs int, size int64) {
	for name, data := range m.Files() {
		if strings.HasSuffix(name, ".pack") && !strings.Contains(name, "/pack-67697463642d") {
			packs++
			size += int64(len(data))
		}
	}
	return packs, size
}

// sealedRenewals makes a journal with many sealed segments, closed, and covered by a checkpoint but for the last.
func sealedRenewals(tb testing.TB, fsys vfs.FS, dir string, frames int, o journal.Options) *renewals {
	tb.Helper()
	j, err := journal.Open(tb.Context(), fsys, dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	h := &renewals{}
	for range frames {
		appendOne(tb, j, h.next(8), false)
	}
	if err := j.Checkpoint(tb.Context(), []byte("state"), uint64(frames)); err != nil {
		tb.Fatal(err)
	}
	closeJournal(tb, j)
	return h
}

// TestJ11RepackKeepsWhatIsReached folds all there is: what refs reach is the
// same, the rest is gone, and stock Git sees no difference.
func TestJ11RepackKeepsWhatIsReached(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "r.git")
	o := journal.Options{SegmentSize: 32 << 10, PublishInterval: -1, Keep: keepNone}
	sealedRenewals(t, vfs.OS{}, dir, 1000, o)
	log := git(t, dir, "log", "--format=%H %T %s", "main")
	j := open(t, vfs.OS{}, dir, o)
	before, was := reached(t, j), j.History()
	planned, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if now := j.History(); now != was {
		t.Errorf("a dry run made %+v of %+v", now, was)
	}
	got, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true})
	if err != nil {
		t.Fatal(err)
	}
	if planned.Took = got.Took; planned != got {
		t.Errorf("the dry run said %+v, it came to %+v", planned, got)
	}
	if after := reached(t, j); len(after) != len(before) {
		t.Errorf("%d objects are reached, were %d", len(after), len(before))
	}
	if h := j.History(); h.Packs != 1 || h.Waiting != 0 || h.Bytes*3 > was.Bytes || h.Superseded != 0 {
		t.Errorf("of %+v came %+v", was, h)
	}
	if _, _, err := j.Get(gitobj.Hash(gitobj.KindBlob, loneBlob(1))); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("a blob that nothing names: %v", err)
	}
	t.Logf("%+v", got)
	again, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true})
	if err != nil || again.Packs != 0 {
		t.Errorf("once more: %+v, %v", again, err)
	}
	closeJournal(t, j)
	check(t, vfs.OS{}, dir)
	git(t, dir, "fsck", "--strict", "--full")
	if now := git(t, dir, "log", "--format=%H %T %s", "main"); now != log {
		t.Error("git log differs")
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, dir, "clone", "-q", "--no-local", "--bare", dir, clone)
	if n := git(t, clone, "rev-list", "--count", "main"); n != "1000" {
		t.Errorf("a clone has %s commits", n)
	}
	j = open(t, vfs.OS{}, dir, o)
	if after := reached(t, j); len(after) != len(before) {
		t.Errorf("after opening again %d objects are reached, were %d", len(after), len(before))
	}
}

// TestJ11Keep keeps what the checkpoint names, and all records that it does not cover.
func TestJ11Keep(t *testing.T) {
	t.Parallel()
	m := &vfs.Mem{}
	var kept []gitobj.ID
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}
	j := open(t, m, memDir, o)
	h := &renewals{}
	for n := range 300 {
		appendOne(t, j, h.next(4), false)
		if n%7 == 0 {
			kept = append(kept, gitobj.Hash(gitobj.KindBlob, loneBlob(h.n)))
		}
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil || got.Packs != 0 {
		t.Errorf("records that no checkpoint covers: %+v, %v", got, err)
	}
	if err := j.Checkpoint(t.Context(), []byte("state"), 200); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); !errors.Is(err, journal.ErrKeep) {
		t.Errorf("nobody knows the checkpoint: %v", err)
	}
	closeJournal(t, j)
	o.Keep = func(checkpoint []byte, yield func(gitobj.Kind, gitobj.ID)) error {
		if string(checkpoint) != "state" {
			return fmt.Errorf("checkpoint is %q", checkpoint)
		}
		for _, id := range kept {
			yield(gitobj.KindBlob, id)
		}
		return nil
	}
	for range 2 {
		j = open(t, m, memDir, o)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
			t.Fatal(err)
		}
		for _, id := range kept {
			if _, _, err := j.Get(id); err != nil {
				t.Error(err)
			}
		}
		if j.Has(gitobj.Hash(gitobj.KindBlob, loneBlob(2))) {
			t.Error("a blob that nothing names is still there")
		}
		n := 200
		if err := j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
			if n++; int(seq) != n || string(record) != "record "+strconv.Itoa(n) {
				return fmt.Errorf("frame %d is %q", seq, record)
			}
			return nil
		}); err != nil || n != 300 {
			t.Errorf("records up to %d, %v", n, err)
		}
		reached(t, j)
		closeJournal(t, j)
		check(t, m, memDir)
	}
}
