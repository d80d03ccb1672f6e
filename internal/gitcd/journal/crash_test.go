// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const memDir = "/r.git"

// check reports what laws are broken.
func check(tb testing.TB, fsys vfs.FS, dir string) {
	tb.Helper()
	if err := journal.Check(fsys, dir, func(law, where string) { tb.Errorf("%s is broken: %s", law, where) }); err != nil {
		tb.Error(err)
	}
}

// progress is what a crash may not lose (acked), and what it may leave (started).
type progress struct {
	mu             sync.Mutex
	acked, started int
}

func (p *progress) get() (acked, started int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked, p.started
}

func (p *progress) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// survives opens what a crash has left, and compares it with what was written.
func survives(t *testing.T, m *vfs.Mem, frames []journal.Frame, acked, started int, what string) {
	t.Helper()
	j, err := journal.Open(t.Context(), m, memDir, journal.Options{SegmentSize: 8 << 10, PublishInterval: -1})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	have := int(j.Seq())
	if have < acked || have > started {
		t.Fatalf("%s: %d frames, %d were acknowledged, %d written", what, have, acked, started)
	}
	_, upTo, err := j.LastCheckpoint()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if err := j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		if upTo++; seq != upTo || string(record) != string(frames[seq-1].Record) {
			return fmt.Errorf("frame %d is %q", seq, record)
		}
		return nil
	}); err != nil || int(upTo) != have {
		t.Fatalf("%s: replayed up to %d of %d, %v", what, upTo, have, err)
	}
	if have > 0 {
		last := frames[have-1]
		if got, _ := j.Ref(mainRef); got != last.Refs[0].New {
			t.Fatalf("%s: %s is %s after frame %d, want %s", what, mainRef, got, have, last.Refs[0].New)
		}
		for _, o := range last.Objects {
			if _, _, err := j.Get(o.ID); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	if have < len(frames) { // it can be written on
		if _, err := j.Append(t.Context(), frames[have:have+1], true); err != nil {
			t.Fatalf("%s: append: %v", what, err)
		}
	}
	closeJournal(t, j)
	check(t, m, memDir)
	if t.Failed() {
		t.Fatalf("%s", what)
	}
}

// TestJ1J2CrashAnywhere runs a history that rolls, seals, publishes and checkpoints, and
// crashes it in three ways before each operation on the disk.
func TestJ1J2CrashAnywhere(t *testing.T) {
	t.Parallel()
	var h history
	var frames []journal.Frame
	for range 45 {
		frames = append(frames, h.next())
	}
	m := &vfs.Mem{}
	var p progress
	random := rand.New(rand.NewPCG(7, 7))
	crashes, ops := 0, 0
	hook := func(op vfs.Op) error {
		if t.Failed() || op.Kind == vfs.OpRead || op.Kind == vfs.OpOpen || op.Name == path.Join(memDir, "gitcd/lock") {
			return nil
		}
		if ops++; ops%3 != 0 && testing.Short() {
			return nil
		}
		acked, started := p.get()
		for _, crash := range []vfs.Crash{vfs.Kill, vfs.DropUnsynced, vfs.Tear, vfs.Tear} {
			survives(t, m.CrashClone(crash, random), frames, acked, started, fmt.Sprintf("crash %d before %s %s", crash, op.Kind, op.Name))
			crashes++
		}
		return nil
	}
	m.SetHook(hook)
	j := open(t, m, memDir, journal.Options{SegmentSize: 8 << 10, PublishInterval: -1})
	for i := 0; i < len(frames); {
		n := min(1+i%3, len(frames)-i) // batches of one to three
		durable := i%4 != 1
		p.set(func() { p.started = i + n })
		if _, err := j.Append(t.Context(), frames[i:i+n], durable); err != nil {
			t.Fatal(err)
		}
		i += n
		if durable {
			p.set(func() { p.acked = i })
		}
		if i%5 == 0 {
			if err := j.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if i%11 == 0 {
			if err := j.Checkpoint(t.Context(), []byte("state"), uint64(i)); err != nil {
				t.Fatal(err)
			}
			p.set(func() { p.acked = i })
		}
	}
	closeJournal(t, j)
	m.SetHook(nil)
	check(t, m, memDir)
	t.Logf("%d crashes at %d operations", crashes, ops)
}

// openSegment returns the name of the open segment, and its content.
func openSegment(tb testing.TB, m *vfs.Mem) (string, []byte) {
	tb.Helper()
	files := m.Files()
	var names []string
	for name := range files {
		if strings.HasSuffix(name, ".open") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		tb.Fatal("no open segment")
	}
	slices.Sort(names)
	return names[len(names)-1], files[names[len(names)-1]]
}

// copyOf returns a new disk with the same content.
func copyOf(m *vfs.Mem) *vfs.Mem { return m.CrashClone(vfs.Kill, nil) }

// TestJ2TornAnywhere cuts, and garbles, the last batch at every byte.
func TestJ2TornAnywhere(t *testing.T) {
	t.Parallel()
	var h history
	frames := []journal.Frame{h.next(), h.next(), h.next()}
	m := &vfs.Mem{}
	j := open(t, m, memDir, journal.Options{SegmentSize: 8 << 10, PublishInterval: -1})
	appendOne(t, j, frames[0], true)
	appendOne(t, j, frames[1], true)
	before := int(appendOne(t, j, frames[2], false).Offset) // not durable, so it may tear
	torn := copyOf(m)
	name, content := openSegment(t, torn)
	end := len(strings.TrimRight(string(content), "\x00"))
	closeJournal(t, j)
	for at := before; at < end; at++ {
		for _, what := range []string{"cut", "garbled"} {
			m := copyOf(torn)
			damage := make([]byte, end-at)
			if what == "garbled" {
				damage = []byte{content[at] ^ 0x55}
			}
			if err := m.Overwrite(name, int64(at), damage); err != nil {
				t.Fatal(err)
			}
			survives(t, m, frames, 2, 3, fmt.Sprintf("%s at %d", what, at))
		}
	}
}

// TestJ2TornTailIsZeroed leaves nothing behind the last whole batch that could be taken for one later.
func TestJ2TornTailIsZeroed(t *testing.T) {
	var h history
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}
	j := open(t, m, memDir, o)
	appendOne(t, j, h.next(), true)
	whole := end(t, m)
	appendOne(t, j, h.next(), false)
	torn := copyOf(m)
	closeJournal(t, j)
	name, _ := openSegment(t, torn)
	if err := torn.Overwrite(name, int64(whole), []byte{0xff}); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, open(t, torn, memDir, o))
	if got := end(t, torn.CrashClone(vfs.DropUnsynced, nil)); got != whole {
		t.Errorf("bytes up to %d are left, the last whole batch ends at %d", got, whole)
	}
}

// TestJ4Chain puts the last batch of one history behind another history that is
// equal but for a byte of the batch before: number, place and nonce fit, the chain does not.
func TestJ4Chain(t *testing.T) {
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}
	m := &vfs.Mem{}
	j := open(t, m, memDir, o)
	appendOne(t, j, journal.Frame{Record: []byte("common")}, true)
	other := copyOf(m)
	history := func(m *vfs.Mem, j *journal.Journal, third string) (*vfs.Mem, journal.Place) {
		appendOne(t, j, journal.Frame{Record: []byte(third)}, true)
		last := appendOne(t, j, journal.Frame{Record: []byte("last")}, true)
		killed := copyOf(m)
		closeJournal(t, j)
		return killed, last
	}
	ours, last := history(m, j, "ours")
	theirs, place := history(other, open(t, other, memDir, o), "them")
	if place != last {
		t.Fatalf("%v and %v are different places", place, last)
	}
	name, content := openSegment(t, theirs)
	if err := ours.Overwrite(name, int64(last.Offset), content[last.Offset:]); err != nil {
		t.Fatal(err)
	}
	if got := open(t, ours, memDir, o).Seq(); got != 2 {
		t.Errorf("%d frames are taken, want 2", got)
	}
}

// TestJ3BitRot changes each byte of a batch that was durable: that must never
// be taken for a torn tail.
func TestJ3BitRot(t *testing.T) {
	t.Parallel()
	var h history
	frames := []journal.Frame{h.next(), h.next(), h.next(), h.next()}
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}
	j := open(t, m, memDir, o)
	var places []journal.Place
	for _, f := range frames {
		places = append(places, appendOne(t, j, f, true))
	}
	running := copyOf(m) // as after kill -9: the last batch says how much was durable before it
	closeJournal(t, j)   // the hint says that all was
	for what, c := range map[string]struct {
		disk *vfs.Mem
		end  uint32
	}{"killed": {running, places[3].Offset}, "closed": {m, uint32(end(t, m))}} {
		for at := uint32(12); at < c.end; at++ {
			rotten := copyOf(c.disk)
			name, content := openSegment(t, rotten)
			if err := rotten.Overwrite(name, int64(at), []byte{content[at] ^ 1}); err != nil {
				t.Fatal(err)
			}
			broken := false
			if err := journal.Check(rotten, memDir, func(string, string) { broken = true }); err != nil || !broken {
				t.Fatalf("%s, byte %d changed: Check says nothing, %v", what, at, err)
			}
			_, err := journal.Open(t.Context(), rotten, memDir, o)
			var where *journal.Error
			if !errors.Is(err, journal.ErrCorrupt) || !errors.As(err, &where) || where.File != name || where.Hint == "" {
				t.Fatalf("%s, byte %d changed: have %v", what, at, err)
			}
			if _, again := openSegment(t, rotten); again[at] != content[at]^1 || len(again) != len(content) {
				t.Fatalf("%s, byte %d changed: a refused segment was written to", what, at)
			}
		}
	}
}

func end(tb testing.TB, m *vfs.Mem) int {
	tb.Helper()
	_, content := openSegment(tb, m)
	return len(strings.TrimRight(string(content), "\x00"))
}

// TestJ3Gone removes each file that counts.
func TestJ3Gone(t *testing.T) {
	var h history
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}
	j := open(t, m, memDir, o)
	for range 40 {
		appendOne(t, j, h.next(), true)
	}
	if err := j.Checkpoint(t.Context(), []byte("x"), 20); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	for name := range m.Files() {
		switch {
		case strings.HasSuffix(name, ".open"), strings.HasSuffix(name, "/state"):
			gone := copyOf(m)
			if err := gone.Remove(name); err != nil {
				t.Fatal(err)
			}
			if _, err := journal.Open(t.Context(), gone, memDir, o); !errors.Is(err, journal.ErrCorrupt) {
				t.Errorf("without %s: have %v", name, err)
			}
		case strings.Contains(name, "/pack-67697463642d"): // a tail
		case strings.HasSuffix(name, ".pack"), strings.HasSuffix(name, ".idx"):
			gone := copyOf(m)
			if err := gone.Remove(name); err != nil {
				t.Fatal(err)
			}
			broken := false
			if err := journal.Check(gone, memDir, func(string, string) { broken = true }); err != nil || !broken {
				t.Errorf("without %s: Check says nothing, %v", name, err)
			}
		}
	}
}
