// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestJ1SharedSyncs lets many append at once: all is there, in the order of the numbers, and syncs are shared.
func TestJ1SharedSyncs(t *testing.T) {
	m := &vfs.Mem{}
	var syncs atomic.Int64
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.Contains(op.Name, ".open") {
			syncs.Add(1)
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	j := open(t, m, memDir, journal.Options{SegmentSize: 64 << 10, PublishInterval: time.Millisecond})
	const writers, each = 16, 20
	var written sync.Map
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			ref := fmt.Sprintf("refs/heads/w%d", w)
			var old gitobj.ID
			for i := range each {
				data := fmt.Appendf(nil, "value %d of writer %d", i, w)
				o := pack.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, data), Data: data}
				f := journal.Frame{Record: data, Objects: []pack.Object{o}, Refs: []journal.RefUpdate{{Name: ref, Old: old, New: o.ID}}}
				places, err := j.Append(t.Context(), []journal.Frame{f}, true)
				if err != nil {
					t.Error(err)
					return
				}
				if got, _ := j.Ref(ref); got != o.ID {
					t.Errorf("%s is %s, want %s", ref, got, o.ID)
				}
				written.Store(places[0].Seq, string(data))
				old = o.ID
			}
		})
	}
	wg.Wait()
	n := 0
	if err := j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		n++
		if want, ok := written.Load(seq); !ok || want != string(record) {
			return fmt.Errorf("frame %d is %q, want %q", seq, record, want)
		}
		return nil
	}); err != nil || n != writers*each {
		t.Errorf("%d frames, %v", n, err)
	}
	if got := syncs.Load(); got > writers*each/2 {
		t.Errorf("%d syncs for %d appends", got, writers*each)
	}
	closeJournal(t, j)
	check(t, m, memDir)
}

// TestJ1RefsShowOnceDurable holds the sync back: the ref must not show before it.
func TestJ1RefsShowOnceDurable(t *testing.T) {
	m := &vfs.Mem{}
	j := open(t, m, memDir, journal.Options{PublishInterval: -1})
	var h history
	inSync, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			once.Do(func() { close(inSync); <-resume })
		}
		return nil
	})
	first := h.next()
	changed := j.Changed()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := j.Append(t.Context(), []journal.Frame{first}, true); err != nil {
			t.Error(err)
		}
	}()
	<-inSync
	if _, ok := j.Ref(mainRef); ok {
		t.Error("the ref shows before its sync")
	}
	select {
	case <-changed:
		t.Error("a change is told before its sync")
	default:
	}
	second := h.next()
	appendOne(t, j, second, false) // must not wait for the sync under way
	if got, _ := j.Ref(mainRef); got != h.head {
		t.Errorf("a ref that need not be durable is %s, want %s", got, h.head)
	}
	if _, _, err := j.Get(first.Objects[0].ID); err != nil {
		t.Errorf("an object that was written: %v", err)
	}
	close(resume)
	<-done
	<-changed
	if got, _ := j.Ref(mainRef); got != h.head {
		t.Errorf("the ref went back to %s", got)
	}
}

func TestJ5OneWriter(t *testing.T) {
	dir := t.TempDir()
	j := open(t, vfs.OS{}, dir, journal.Options{})
	_, err := journal.Open(t.Context(), vfs.OS{}, dir, journal.Options{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("have %v", err)
	}
	closeJournal(t, j)
	open(t, vfs.OS{}, dir, journal.Options{})
}

// TestJ8DeadIsDead fails one write or sync: nothing is acknowledged any more,
// and what was before is there when the journal is opened again.
func TestJ8DeadIsDead(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync} {
		m := &vfs.Mem{}
		var h history
		var frames []journal.Frame
		// So small that no room is made ahead: the operation that fails is the append's.
		j, err := journal.Open(t.Context(), m, memDir, journal.Options{SegmentSize: 8 << 10, PublishInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			frames = append(frames, h.next())
			appendOne(t, j, frames[len(frames)-1], true)
		}
		fail := true
		m.SetHook(func(op vfs.Op) error {
			if fail && op.Kind == kind && strings.Contains(op.Name, ".open") {
				fail = false
				return syscall.EIO
			}
			return nil
		})
		lost := h.next()
		for range 3 {
			if _, err := j.Append(t.Context(), []journal.Frame{lost}, true); !errors.Is(err, journal.ErrFailed) || !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: have %v", kind, err)
			}
		}
		if _, err := j.Append(t.Context(), nil, true); !errors.Is(err, journal.ErrFailed) {
			t.Errorf("%s: barrier: have %v", kind, err)
		}
		if !errors.Is(j.Err(), journal.ErrFailed) {
			t.Errorf("%s: Err: have %v", kind, j.Err())
		}
		expectObjects(t, j, frames)
		if err := j.Close(t.Context()); err != nil {
			t.Error(err)
		}
		again := open(t, m.CrashClone(vfs.DropUnsynced, nil), memDir, journal.Options{PublishInterval: -1})
		expect(t, again, frames)
	}
}

func expectObjects(tb testing.TB, j *journal.Journal, frames []journal.Frame) {
	tb.Helper()
	for _, f := range frames {
		for _, o := range f.Objects {
			if _, _, err := j.Get(o.ID); err != nil {
				tb.Error(err)
			}
		}
	}
}

// TestFullDisk runs out of space: appends are refused whole, and go on when there is room.
func TestFullDisk(t *testing.T) {
	for _, size := range []int64{8 << 10, 1 << 20} { // refused at rolling, and at growing
		m := &vfs.Mem{}
		var full atomic.Bool
		m.SetHook(func(op vfs.Op) error {
			if full.Load() && op.Kind == vfs.OpWrite && op.Grows {
				return &vfs.ShortError{N: op.Len / 2, Err: syscall.ENOSPC}
			}
			return nil
		})
		j := open(t, m, memDir, journal.Options{SegmentSize: size, PublishInterval: -1})
		var frames []journal.Frame
		add := func(n int) (err error) {
			data := []byte(strings.Repeat(fmt.Sprint(n, " "), 2000))
			o := pack.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, data), Data: data}
			f := journal.Frame{Record: data[:10], Objects: []pack.Object{o}}
			if _, err = j.Append(t.Context(), []journal.Frame{f}, true); err == nil {
				frames = append(frames, f)
			}
			return err
		}
		if err := add(0); err != nil {
			t.Fatal(err)
		}
		refused := 0
		for i := 1; i < 300; i++ {
			full.Store(i/10%2 == 1)
			if err := add(i); errors.Is(err, journal.ErrNoSpace) && !errors.Is(err, journal.ErrFailed) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		full.Store(false)
		if refused == 0 || refused > 200 {
			t.Errorf("%d of 300 appends were refused", refused)
		}
		expect(t, j, frames)
		closeJournal(t, j)
		check(t, m, memDir)
	}
}

// TestPublishInterval steps a clock: Git sees a change within the interval, and not before.
func TestPublishInterval(t *testing.T) {
	dir := t.TempDir()
	fake := clocktesting.NewFakeClock(time.Unix(1, 0))
	var c clock.Clock = fake
	j := open(t, vfs.OS{}, dir, journal.Options{Clock: c})
	var h history
	appendOne(t, j, h.next(), true)
	for !fake.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	if _, err := os.Stat(filepath.Join(dir, "packed-refs")); err == nil {
		if got := git(t, dir, "for-each-ref"); got != "" {
			t.Errorf("git sees %s already", got)
		}
	}
	fake.Step(500 * time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if strings.Contains(git(t, dir, "for-each-ref"), h.head.String()) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("git does not see the change")
		}
	}
}

func TestBadDirectories(t *testing.T) {
	files := func(names ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			for _, name := range names {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		hint string
	}{
		"other files": {files("notes.txt"), "empty directory"},
		"work tree":   {func(t *testing.T, dir string) { t.Helper(); git(t, dir, "init", "-q") }, "--mirror"},
		"shallow":     {files("HEAD", "objects/x", "shallow"), "--unshallow"},
		"alternates":  {files("HEAD", "objects/info/alternates"), "repack"},
		"later":       {files("gitcd/format"), "version of gitcd"},
	} {
		dir := t.TempDir()
		c.make(t, dir)
		_, err := journal.Open(t.Context(), vfs.OS{}, dir, journal.Options{})
		var where *journal.Error
		if !errors.Is(err, journal.ErrForeign) || !errors.As(err, &where) || !strings.Contains(where.Hint, c.hint) {
			t.Errorf("%s: have %v", name, err)
		}
		if _, err := os.Stat(path.Join(dir, "gitcd/lock")); err == nil {
			t.Errorf("%s: a directory that was refused was written to", name)
		}
	}
}
