// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// alike returns the frame of a value that differs from others of its kind in its name, uid and token, which has so many bytes.
func alike(kind string, n, token int) journal.Frame {
	random := rand.New(rand.NewPCG(uint64(n), 7))
	var b strings.Builder
	fmt.Fprintf(&b, "{\n \"kind\": %q,\n \"apiVersion\": \"v1\",\n \"metadata\": {\n  \"name\": \"app-%d\",\n  \"uid\": \"%016x\",\n", kind, n, random.Uint64())
	for i := range 30 {
		fmt.Fprintf(&b, "  \"f:field-%d-of-%s\": {},\n", i, kind)
	}
	b.WriteString("  \"token\": \"")
	for range token / 16 {
		fmt.Fprintf(&b, "%016x", random.Uint64())
	}
	b.WriteString("\"\n }\n}\n")
	return journal.Frame{Record: fmt.Appendf(nil, "%s %d", kind, n), Objects: []journal.Object{object(gitobj.KindBlob, []byte(b.String()))}}
}

// TestJ9KinAreDeltas writes objects of three kinds in turn: most become deltas, in every batch and segment, and
// all of them can be read: at once, when the journal is opened again, and by Git.
func TestJ9KinAreDeltas(t *testing.T) {
	dir := t.TempDir() + "/r.git"
	o := journal.Options{SegmentSize: 128 << 10, PublishInterval: -1}
	j := open(t, vfs.OS{}, dir, o)
	var written int64
	var frames []journal.Frame
	for n := range 300 {
		batch := []journal.Frame{alike("Pod", n, 32), alike("ConfigMap", n, 32), alike("Secret", n, 32)}
		if _, err := j.Append(t.Context(), batch, false); err != nil {
			t.Fatal(err)
		}
		for _, f := range batch {
			written += int64(len(f.Objects[0].Data))
			frames = append(frames, f)
		}
	}
	expect(t, j, frames)
	closeJournal(t, j)
	j = open(t, vfs.OS{}, dir, o)
	expect(t, j, frames)
	for n := 300; n < 310; n++ {
		frames = append(frames, alike("Pod", n, 32))
		appendOne(t, j, frames[len(frames)-1], true)
	}
	closeJournal(t, j)
	check(t, vfs.OS{}, dir)
	git(t, dir, "fsck", "--strict")
	var stored int64
	for line := range strings.Lines(git(t, dir, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectsize) %(objectsize:disk)")) {
		var kind string
		var size, disk int64
		if _, err := fmt.Sscan(line, &kind, &size, &disk); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if size > 500 && size < 2000 { // not the records
			stored += disk
		}
	}
	if stored == 0 || stored > written/2 {
		t.Errorf("%d bytes of values take %d on the disk", written, stored)
	}
}

// TestJ9KinOfARefusedBatch runs out of space: what was refused is nothing's base.
func TestJ9KinOfARefusedBatch(t *testing.T) {
	m := &vfs.Mem{}
	var full atomic.Bool
	m.SetHook(func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpWrite && op.Grows {
			return &vfs.ShortError{N: op.Len / 2, Err: syscall.ENOSPC}
		}
		return nil
	})
	j := open(t, m, memDir, journal.Options{SegmentSize: 32 << 20, PublishInterval: -1})
	var frames []journal.Frame
	n := 0
	add := func(kind string) error {
		var batch []journal.Frame
		for range 10 {
			batch = append(batch, alike(kind, n, 1024))
			n++
		}
		_, err := j.Append(t.Context(), batch, true)
		if err == nil {
			frames = append(frames, batch...)
		}
		return err
	}
	for round := range 3 {
		full.Store(true)
		kind, err := "", error(nil)
		for i := 0; err == nil && i < 10_000; i++ {
			kind = fmt.Sprintf("Kind%d-%d", round, i)
			err = add(kind)
		}
		if !errors.Is(err, journal.ErrNoSpace) || errors.Is(err, journal.ErrFailed) {
			t.Fatalf("append to a full disk: %v", err)
		}
		full.Store(false)
		if err := add(kind); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, j, frames)
	closeJournal(t, j)
	check(t, m, memDir)
}
