// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

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

// TestJ11CrashAnywhere cuts the power before each operation of a repack, opens
// what is left, writes on, and repacks again.
func TestJ11CrashAnywhere(t *testing.T) {
	t.Parallel()
	o := journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone}
	m := &vfs.Mem{}
	h := sealedRenewals(t, m, memDir, 60, o)
	random := rand.New(rand.NewPCG(3, 1))
	crashes := 0
	survives := func(m *vfs.Mem, head gitobj.ID, what string) {
		j, err := journal.Open(t.Context(), m, memDir, o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := mustRef(t, j, mainRef); got != head {
			t.Fatalf("%s: main is %s, was %s", what, got, head)
		}
		n := len(reached(t, j))
		appendOne(t, j, journal.Frame{Record: []byte("more"), Objects: []pack.Object{object(gitobj.KindBlob, []byte(what))}}, true)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if again := len(reached(t, j)); again != n {
			t.Fatalf("%s: %d objects are reached, were %d", what, again, n)
		}
		if h := j.History(); h.Packs != 1 || h.Superseded != 0 {
			t.Fatalf("%s: %+v", what, h)
		}
		closeJournal(t, j)
		check(t, m, memDir)
		for name := range m.Files() {
			if dir, base := path.Split(name); strings.HasSuffix(dir, "pack/") && !strings.HasSuffix(base, ".pack") && !strings.HasSuffix(base, ".idx") && !strings.HasSuffix(base, ".keep") {
				t.Errorf("%s: %s is left", what, name)
			}
		}
		if t.Failed() {
			t.Fatal(what)
		}
	}
	j := open(t, m, memDir, o)
	ops := 0
	hook := func(op vfs.Op) error {
		if t.Failed() || op.Kind == vfs.OpRead || op.Kind == vfs.OpOpen || strings.HasSuffix(op.Name, "/lock") {
			return nil
		}
		if ops++; ops%4 != 0 && testing.Short() {
			return nil
		}
		for _, crash := range []vfs.Crash{vfs.Kill, vfs.DropUnsynced, vfs.Tear, vfs.Tear} {
			survives(m.CrashClone(crash, random), h.head, fmt.Sprintf("crash %d before %s %s", crash, op.Kind, op.Name))
			crashes++
		}
		return nil
	}
	for range 2 { // first segments are folded, then segments and a folded pack
		m.SetHook(hook)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
			t.Fatal(err)
		}
		m.SetHook(nil)
		for range 40 {
			appendOne(t, j, h.next(8), false)
		}
		if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
			t.Fatal(err)
		}
		if err := j.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	closeJournal(t, j)
	check(t, m, memDir)
	t.Logf("%d crashes at %d operations", crashes, ops)
}

// TestJ11NamedAgain names, while a fold is on its way, a commit that no ref
// reached when it began: a writer had been told that it is there.
func TestJ11NamedAgain(t *testing.T) {
	t.Parallel()
	m, clock := &vfs.Mem{}, clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0))
	o := journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone, Clock: clock, RepackRate: -1}
	j := open(t, m, memDir, o)
	lost := &renewals{}
	appendOne(t, j, lost.next(1), false)
	appendOne(t, j, lost.next(1), false)
	appendOne(t, j, journal.Frame{Record: []byte("gone"), Refs: []journal.RefUpdate{{Name: mainRef, Old: lost.head}}}, false)
	h := &renewals{}
	for range 100 {
		f := h.next(8)
		f.Refs[0].Name = "refs/heads/other"
		appendOne(t, j, f, false)
	}
	if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
		t.Fatal(err)
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !j.Has(lost.head) {
		t.Fatal("the lost commit is not there")
	}
	if got, err := j.Repack(t.Context(), journal.Repacking{}); err != nil || got.Packs == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if j.Has(lost.head) {
		t.Error("the lost commit is spoken of though it is about to go")
	}
	appendOne(t, j, journal.Frame{Record: []byte("named"), Refs: []journal.RefUpdate{{Name: mainRef, New: lost.head}}}, true)
	for range 3 {
		clock.Step(2 * time.Minute)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true}); err != nil {
			t.Fatal(err)
		}
		reached(t, j)
	}
	if h := j.History(); h.Packs > 2 || h.Superseded != 0 {
		t.Errorf("have %+v", h)
	}
	closeJournal(t, j)
	check(t, m, memDir)
}

// TestJ11Background folds as segments are sealed: there are few packs, the
// larger the older, and writers and readers never wait for it.
func TestJ11Background(t *testing.T) {
	t.Parallel()
	m, clock := &vfs.Mem{}, clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0))
	j := open(t, m, memDir, journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone, Clock: clock, RepackInterval: time.Minute, RepackRate: 64 << 10})
	h := &renewals{}
	var frames []journal.Frame
	most := 0
	for range 1500 {
		frames = append(frames, h.next(4))
		appendOne(t, j, frames[len(frames)-1], true)
		if _, _, err := j.Get(frames[len(frames)/2].Objects[0].ID); err != nil {
			t.Fatal(err)
		}
		if h.n%20 == 0 {
			if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
				t.Fatal(err)
			}
			if err := j.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range 20 { // the fold rests, over and over
				clock.Step(5 * time.Second)
				time.Sleep(100 * time.Microsecond)
			}
			most = max(most, j.History().Packs)
		}
	}
	got := j.History()
	if got.Err != nil || got.Repacks < 5 || most > 60 {
		t.Errorf("%+v, at most %d packs", got, most)
	}
	reached(t, j)
	closeJournal(t, j)
	check(t, m, memDir)
	packs, size := packFiles(m)
	t.Logf("%+v; %d packs of %d bytes, at most %d", got, packs, size, most)
}

// TestJ11Hub folds the segments of a journal whose frames have no records, and no checkpoint.
func TestJ11Hub(t *testing.T) {
	t.Parallel()
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 4 << 10, PublishInterval: -1}
	j := open(t, m, memDir, o)
	h := &renewals{}
	for range 200 {
		f := h.next(4)
		f.Record = nil
		appendOne(t, j, f, false)
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil || got.Packs == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	closeJournal(t, j)
	check(t, m, memDir)
	j = open(t, m, memDir, o)
	if err := j.Records(func(uint64, []byte, []journal.RefUpdate) error { return nil }); err != nil {
		t.Error(err)
	}
	reached(t, j)
}

// TestJ11BitRot finds damage before it is copied, and keeps what there is.
func TestJ11BitRot(t *testing.T) {
	t.Parallel()
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1, Keep: keepNone}
	sealedRenewals(t, m, memDir, 200, o)
	packs, _ := packFiles(m)
	for name, data := range m.Files() {
		if strings.HasSuffix(name, ".pack") && !strings.Contains(name, "/pack-67697463642d") {
			if err := m.Overwrite(name, int64(len(data)/2), []byte{data[len(data)/2] ^ 1}); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	j := open(t, m, memDir, o)
	if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("have %v", err)
	}
	if err := j.History().Err; !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("history says %v", err)
	}
	if now, _ := packFiles(m); now != packs {
		t.Errorf("%d packs, were %d", now, packs)
	}
}
