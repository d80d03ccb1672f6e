// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// git runs the stock Git, which is the oracle of J6.
func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func open(tb testing.TB, fsys vfs.FS, dir string, o journal.Options) *journal.Journal {
	tb.Helper()
	j, err := journal.Open(tb.Context(), fsys, dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if !tb.Failed() { // a failure in the midst of a sync leaves it open
			closeJournal(tb, j)
		}
	})
	return j
}

func closeJournal(tb testing.TB, j *journal.Journal) {
	tb.Helper()
	if err := j.Close(context.WithoutCancel(tb.Context())); err != nil {
		tb.Errorf("close: %v", err)
	}
}

// history makes commits, each with one more file in a flat directory, trees being deltas.
type history struct {
	files  gitobj.Tree
	tree   []byte
	treeID gitobj.ID
	head   gitobj.ID
	n      int
}

const mainRef = "refs/heads/main"

// next returns the frame of the next commit.
func (h *history) next() journal.Frame {
	h.n++
	value := []byte(strings.Repeat(fmt.Sprintf("value %d\n", h.n), 20))
	blob := pack.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, value), Data: value}
	h.files = append(h.files, gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("key-%06d", h.n), ID: blob.ID})
	tree := pack.Object{Kind: gitobj.KindTree, Data: h.files.Encode(), Base: h.treeID}
	tree.ID = gitobj.Hash(gitobj.KindTree, tree.Data)
	if h.tree != nil {
		tree.Delta = pack.Delta(h.tree, tree.Data)
	}
	who := gitobj.Signature{Name: "tester", Email: "tester@localhost", When: time.Unix(int64(1_700_000_000+h.n), 0)}
	c := gitobj.Commit{Tree: tree.ID, Author: who, Committer: who, Message: fmt.Sprintf("commit %d\n", h.n)}
	if h.n > 1 {
		c.Parents = []gitobj.ID{h.head}
	}
	commit := pack.Object{Kind: gitobj.KindCommit, Data: c.Encode()}
	commit.ID = gitobj.Hash(gitobj.KindCommit, commit.Data)
	f := journal.Frame{
		Record:  fmt.Appendf(nil, "record %d", h.n),
		Objects: []pack.Object{blob, tree, commit},
		Refs:    []journal.RefUpdate{{Name: mainRef, Old: h.head, New: commit.ID}},
	}
	h.tree, h.treeID, h.head = tree.Data, tree.ID, commit.ID
	return f
}

func appendOne(tb testing.TB, j *journal.Journal, f journal.Frame, durable bool) journal.Place {
	tb.Helper()
	places, err := j.Append(tb.Context(), []journal.Frame{f}, durable)
	if err != nil {
		tb.Fatal(err)
	}
	return places[0]
}

// expect compares what the journal has with the frames that were written.
func expect(tb testing.TB, j *journal.Journal, frames []journal.Frame) {
	tb.Helper()
	seen := 0
	err := j.Records(func(seq uint64, record []byte, refs []journal.RefUpdate) error {
		if seen >= len(frames) {
			return fmt.Errorf("frame %d was never written", seq)
		}
		f := frames[seen]
		if seen++; seq != uint64(seen) || !bytes.Equal(record, f.Record) || len(refs) != len(f.Refs) {
			return fmt.Errorf("frame %d is %q, want frame %d %q", seq, record, seen, f.Record)
		}
		return nil
	})
	if err != nil {
		tb.Error(err)
	}
	if seen != len(frames) {
		tb.Errorf("have %d frames, want %d", seen, len(frames))
	}
	var head gitobj.ID
	for _, f := range frames {
		for _, o := range f.Objects {
			if kind, data, err := j.Get(o.ID); err != nil || kind != o.Kind || !bytes.Equal(data, o.Data) {
				tb.Errorf("Get(%s) = %s of %d bytes, %v; want %s of %d", o.ID, kind, len(data), err, o.Kind, len(o.Data))
			}
		}
		for _, r := range f.Refs {
			head = r.New
		}
	}
	if got, _ := j.Ref(mainRef); got != head {
		tb.Errorf("%s is %s, want %s", mainRef, got, head)
	}
}

func TestAppendAndReopen(t *testing.T) {
	for _, size := range []int64{0, 4 << 10, 64 << 10} {
		t.Run(fmt.Sprintf("segments of %d", size), func(t *testing.T) {
			dir := t.TempDir() + "/r.git"
			o := journal.Options{SegmentSize: size, PublishInterval: -1}
			j := open(t, vfs.OS{}, dir, o)
			var h history
			var frames []journal.Frame
			for i := range 100 {
				f := h.next()
				frames = append(frames, f)
				p := appendOne(t, j, f, i%7 == 0)
				if record, err := j.GetAt(p); err != nil || !bytes.Equal(record, f.Record) {
					t.Fatalf("GetAt(%v) = %q, %v", p, record, err)
				}
				if i%13 == 0 {
					if err := j.Publish(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := git(t, dir, "rev-parse", mainRef); i%7 == 0 && got != h.head.String() {
						t.Fatalf("git sees %s, want %s", got, h.head)
					}
				}
			}
			if _, err := j.Append(t.Context(), nil, true); err != nil {
				t.Fatal(err)
			}
			expect(t, j, frames)
			closeJournal(t, j)
			git(t, dir, "fsck", "--strict")
			if got := git(t, dir, "rev-list", "--count", "main"); got != "100" {
				t.Errorf("git counts %s commits", got)
			}
			j = open(t, vfs.OS{}, dir, o)
			expect(t, j, frames)
			for range 20 {
				f := h.next()
				frames = append(frames, f)
				appendOne(t, j, f, true)
			}
			expect(t, j, frames)
			closeJournal(t, j)
			git(t, dir, "fsck", "--strict")
		})
	}
}

func TestRefConflict(t *testing.T) {
	j := open(t, vfs.OS{}, t.TempDir(), journal.Options{PublishInterval: -1})
	var h history
	appendOne(t, j, h.next(), true)
	_, err := j.Append(t.Context(), []journal.Frame{{Record: []byte("lost"), Refs: []journal.RefUpdate{{Name: mainRef, New: gitobj.ID{1}}}}}, true)
	var conflict *journal.RefConflictError
	if !errors.As(err, &conflict) || conflict.Have != h.head {
		t.Fatalf("have %v", err)
	}
	if j.Seq() != 1 {
		t.Errorf("a refused frame was written")
	}
	for _, name := range []string{"main", "refs/heads/main/x", "refs/heads", "refs/a..b", "refs/x.lock", "refs/a b"} {
		_, err := j.Append(t.Context(), []journal.Frame{{Refs: []journal.RefUpdate{{Name: name, New: h.head}}}}, true)
		if !errors.Is(err, journal.ErrBadRef) {
			t.Errorf("%q: have %v", name, err)
		}
	}
}
