// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// meter counts the bytes that are written, and what is renamed.
type meter struct {
	mu       sync.Mutex
	segments int64 // into open segments, zero-filling included
	shown    int64 // into what only Git reads: packs, indexes, refs
	tails    int   // tail packs made
	refs     int   // times that packed-refs was replaced
}

func (m *meter) see(op vfs.Op) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, "packed-refs"):
		m.refs++
	case op.Kind == vfs.OpRename && strings.Contains(op.Name, "/pack-67697463642d") && strings.HasSuffix(op.Name, ".pack"):
		m.tails++
	case op.Kind != vfs.OpWrite || op.Grows && strings.Contains(op.Name, "/seg-"): // the latter takes room, and writes nothing
	case strings.Contains(op.Name, "/seg-"):
		m.segments += int64(op.Len)
	default:
		m.shown += int64(op.Len)
	}
	return nil
}

func (m *meter) read() meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return meter{segments: m.segments, shown: m.shown, tails: m.tails, refs: m.refs}
}

var noise = rand.NewChaCha8([32]byte{})

// value is a frame with one object of a size.
func value(size int) journal.Frame {
	data := make([]byte, size)
	_, _ = noise.Read(data)
	o := pack.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, data), Data: data}
	return journal.Frame{Record: data[:10], Objects: []pack.Object{o}}
}

// TestJ10TrickleIsCheap shows Git one small change after the other, behind some
// MiB that it has seen already: what is written grows with the changes.
func TestJ10TrickleIsCheap(t *testing.T) {
	m, count := &vfs.Mem{}, &meter{}
	m.SetHook(count.see)
	j := open(t, m, memDir, journal.Options{PublishInterval: -1})
	publish := func() {
		if err := j.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		appendOne(t, j, value(700<<10), true)
		publish()
	}
	before := count.read()
	const changes = 300
	var h history
	size := int64(0)
	for range changes {
		f := h.next()
		size += 3*pack.MaxEntryHeader + int64(len(f.Objects[0].Data)+len(f.Objects[2].Data))
		appendOne(t, j, f, true)
		publish()
	}
	// Each change is copied at most once a tier. Each tail has an index, and the whole tree that its first delta builds on.
	const trees, once = 30 * changes, 2 * (1100 + 3*28 + 500)
	most := 4*size + changes*(trees/2+once)
	shown := count.read().shown - before.shown
	t.Logf("%d bytes in %d changes: %d bytes to show them, %d to write them, zero-filling included", size, changes, shown, count.read().segments-before.segments)
	if shown > most {
		t.Errorf("%d bytes to show %d, want at most %d", shown, size, most)
	}
	if shown > 10<<20 {
		t.Errorf("%d bytes: large tails were copied again", shown)
	}
}

// TestJ10PourIsNotCopied writes a lot without a pause: Git sees what is sealed, and nothing is written twice.
func TestJ10PourIsNotCopied(t *testing.T) {
	m, count := &vfs.Mem{}, &meter{}
	m.SetHook(count.see)
	fake := clocktesting.NewFakeClock(time.Unix(1, 0)) // nobody steps it: there is no pause
	j := open(t, m, memDir, journal.Options{SegmentSize: 2 << 20, Clock: fake})
	var h history
	var data int64
	before := count.read()
	for range 100 {
		for range 10 {
			f := value(32 << 10)
			data += 32 << 10
			appendOne(t, j, f, false)
		}
		appendOne(t, j, h.next(), true)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if got := string(m.Files()[memDir+"/packed-refs"]); strings.Contains(got, mainRef) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Git sees no ref though segments were sealed")
		}
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := count.read()
	wrote := after.segments + after.shown - before.segments - before.shown
	t.Logf("%d bytes written for %d of values, %d tails", wrote, data, after.tails)
	if wrote > data*105/100 || after.tails > 1 {
		t.Errorf("%d bytes written for %d of values, %d tails", wrote, data, after.tails)
	}
	closeJournal(t, j)
	check(t, m, memDir)
}

// TestPublishWhileWritesPour steps a clock while a lot is written: Git is shown
// nothing until writes pause, or have gone on for ten intervals.
func TestPublishWhileWritesPour(t *testing.T) {
	const step = 250 * time.Millisecond
	m, count := &vfs.Mem{}, &meter{}
	m.SetHook(count.see)
	fake := clocktesting.NewFakeClock(time.Unix(1, 0))
	j := open(t, m, memDir, journal.Options{Clock: fake})
	var h history
	tick := func(write bool) {
		for !fake.HasWaiters() {
			time.Sleep(time.Millisecond)
		}
		if write {
			appendOne(t, j, value(300<<10), false)
			appendOne(t, j, h.next(), true)
		}
		fake.Step(step)
	}
	appendOne(t, j, value(300<<10), true)
	for at := step; at < 5*time.Second; at += step {
		tick(true)
		if got := count.read(); got.refs > 1 || got.tails > 0 {
			t.Fatalf("after %v of writing: refs were written %d times, %d tails", at, got.refs, got.tails)
		}
	}
	shows := func(what string) {
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(string(m.Files()[memDir+"/packed-refs"]), h.head.String()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("Git is not shown the ref %s", what)
			}
		}
	}
	tick(true)
	shows("after ten intervals")
	appendOne(t, j, value(300<<10), true)
	tick(true)
	tick(true)
	tick(false) // now nothing is written for half an interval
	tick(false)
	shows("half a second after the last write")
}

// TestTrickleIsShownTogether steps a clock while little is written: Git is shown
// the first change after the interval, and what follows at once a bit later.
func TestTrickleIsShownTogether(t *testing.T) {
	m, count := &vfs.Mem{}, &meter{}
	m.SetHook(count.see)
	fake := clocktesting.NewFakeClock(time.Unix(1, 0))
	j := open(t, m, memDir, journal.Options{Clock: fake})
	var h history
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	shown := func() bool { return strings.Contains(string(m.Files()[memDir+"/packed-refs"]), h.head.String()) }
	appendOne(t, j, h.next(), true)
	wait("the publisher does not wait", fake.HasWaiters)
	fake.Step(500 * time.Millisecond)
	wait("the first change is not shown after half a second", shown)
	for range 3 {
		refs := count.read().refs
		appendOne(t, j, h.next(), true)
		wait("the publisher does not wait", fake.HasWaiters)
		appendOne(t, j, h.next(), true)
		fake.Step(500 * time.Millisecond)
		wait("the publisher does not wait on", fake.HasWaiters)
		if got := count.read().refs; got != refs {
			t.Fatalf("refs were written %d times half a second after a change that followed another one", got-refs)
		}
		fake.Step(313 * time.Millisecond)
		wait("a change is not shown in 0.8 seconds", shown)
	}
}

// TestRoomInLargeSteps writes little again and again: room is taken ahead of it
// for many batches at once, also in a segment that has just begun.
func TestRoomInLargeSteps(t *testing.T) {
	m := &vfs.Mem{}
	var syncs atomic.Int64
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.Contains(op.Name, "/seg-") {
			syncs.Add(1)
		}
		return nil
	})
	j := open(t, m, memDir, journal.Options{PublishInterval: -1})
	before := syncs.Load()
	const changes = 200
	var h history
	for range changes {
		appendOne(t, j, h.next(), true)
		time.Sleep(200 * time.Microsecond) // the filler is to have its turn
	}
	if got := syncs.Load() - before; got > changes+10 {
		t.Errorf("%d syncs for %d batches", got, changes)
	}
}

// TestJ6LiveGitWhileWritesPour has stock Git clone and check a journal that is
// written to as fast as can be, and counts the commits a second after the last one.
func TestJ6LiveGitWhileWritesPour(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/r.git"
	j := open(t, vfs.OS{}, dir, journal.Options{SegmentSize: 4 << 20})
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	done := make(chan history)
	go func() {
		var h history
		defer func() { done <- h }()
		for data := make([]byte, 8<<10); ctx.Err() == nil; {
			if len(h.files) > 100 {
				h.files = h.files[:0]
			}
			frames := []journal.Frame{h.next()}
			binary.BigEndian.PutUint64(data, uint64(h.n))
			o := pack.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, data), Data: data}
			frames[0].Objects = append(frames[0].Objects, o)
			if _, err := j.Append(context.WithoutCancel(ctx), frames, true); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for ctx.Err() == nil && exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "-q", "--verify", "main").Run() != nil {
		time.Sleep(10 * time.Millisecond) // until a segment is sealed
	}
	clone := filepath.Join(t.TempDir(), "c")
	git(t, dir, "clone", "-q", "--no-local", "--bare", dir, clone)
	git(t, clone, "fsck", "--strict")
	git(t, dir, "fsck", "--strict", "--no-dangling")
	h := <-done
	time.Sleep(time.Second)
	if got := git(t, dir, "rev-parse", "main"); got != h.head.String() {
		t.Errorf("a second after the last of %d commits Git has %s, want %s", h.n, got, h.head)
	}
	git(t, dir, "fsck", "--strict", "--no-dangling")
	closeJournal(t, j)
	t.Logf("%d commits, %s", h.n, git(t, dir, "count-objects", "-v"))
}
