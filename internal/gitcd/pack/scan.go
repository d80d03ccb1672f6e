// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"errors"
	"fmt"
	"io"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Limits bound what Scan takes in. A field that is 0 has its default.
type Limits struct {
	// Objects is the most objects. Default 16 million.
	Objects int
	// ObjectBytes is the largest object. Default 128 MiB.
	ObjectBytes int64
	// TotalBytes is the most that all objects may have together. Default 8 GiB.
	TotalBytes int64
	// PackBytes is the longest pack. Default 4 GiB.
	PackBytes int64
	// MemoryBytes bounds the objects kept as bases, and, as much again, the
	// deltas that wait for theirs. Default 32 MiB.
	MemoryBytes int64
}

// ErrLimit is wrapped by the error about a pack that goes beyond the limits.
var ErrLimit = errors.New("pack is beyond the limits")

func (l Limits) withDefaults() Limits {
	if l.Objects <= 0 {
		l.Objects = 16 << 20
	}
	if l.ObjectBytes <= 0 {
		l.ObjectBytes = 128 << 20
	}
	if l.TotalBytes <= 0 {
		l.TotalBytes = 8 << 30
	}
	if l.PackBytes <= 0 {
		l.PackBytes = 4 << 30
	}
	if l.MemoryBytes <= 0 {
		l.MemoryBytes = 32 << 20
	}
	return l
}

// Base finds the base of a delta that is not in the pack (a thin one), or that
// was emitted so long ago that Scan has forgotten its content.
type Base func(gitobj.ID) (gitobj.Kind, []byte, error)

// Scan reads a pack to its end and emits its objects, whole and with their
// true ids. An object is emitted after its base. Objects are emitted before the
// trailer is known: only when Scan returns nil was the pack the one that was sent.
func Scan(r io.Reader, base Base, emit func(Object) error, limits Limits) error {
	limits = limits.withDefaults()
	s := &scanner{src: newSource(r, limits.PackBytes), base: base, emit: emit, limits: limits, waiting: newWaiting()}
	if err := s.scan(); err != nil {
		return fmt.Errorf("scan pack: %w", err)
	}
	return nil
}

type scanner struct {
	src    *source
	base   Base
	emit   func(Object) error
	limits Limits
	total  int64

	// offsets and ids are those of the entries so far. The id of one that waits is zero.
	offsets []int64
	ids     []gitobj.ID
	recent  recent
	waiting waiting
	// lookup is why the last base was not to be had.
	lookup error
}

func (s *scanner) scan() error {
	head, err := s.src.peek(HeaderSize)
	if err != nil {
		return err
	}
	count, err := ParseHeader(head)
	if err != nil {
		return err
	}
	s.src.pos += HeaderSize
	if int64(count) > int64(s.limits.Objects) {
		return fmt.Errorf("%d objects, at most %d: %w", count, s.limits.Objects, ErrLimit)
	}
	for range count {
		off := s.src.offset()
		if err := s.entry(off); err != nil {
			return fmt.Errorf("entry at %d: %w", off, err)
		}
	}
	if n := s.waiting.count; n > 0 {
		return fmt.Errorf("%d deltas lack their base (%w): %w", n, s.lookup, ErrCorrupt)
	}
	want := s.src.trailer()
	got, err := s.src.peek(TrailerSize)
	if err != nil {
		return err
	}
	if gitobj.ID(got) != want {
		return fmt.Errorf("trailer is %x, the pack's is %s: %w", got, want, ErrCorrupt)
	}
	return nil
}

// entry reads one entry and emits what it makes known.
func (s *scanner) entry(off int64) error {
	e, err := s.src.entry()
	if err != nil {
		return err
	}
	if e.Size > s.limits.ObjectBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", e.Size, s.limits.ObjectBytes, ErrLimit)
	}
	data, err := inflate(s.src, e.Size)
	if err != nil {
		return err
	}
	at := len(s.offsets)
	s.offsets, s.ids = append(s.offsets, off), append(s.ids, gitobj.Zero)
	switch e.Type {
	case OfsDelta:
		base, ok := s.find(off - e.Distance)
		if !ok {
			return fmt.Errorf("no entry at the base's %d: %w", off-e.Distance, ErrCorrupt)
		}
		if s.ids[base].IsZero() {
			return s.waiting.behindEntry(base, waiter{at: at, delta: data}, s.limits.MemoryBytes)
		}
		kind, content, err := s.content(s.ids[base])
		if err != nil {
			return err
		}
		return s.delta(at, s.ids[base], kind, content, data)
	case RefDelta:
		kind, content, err := s.content(e.Base)
		if err != nil { // it may come later in the pack
			s.lookup = err
			return s.waiting.behindID(e.Base, waiter{at: at, delta: data}, s.limits.MemoryBytes)
		}
		return s.delta(at, e.Base, kind, content, data)
	default:
		return s.done(at, Object{Kind: gitobj.Kind(e.Type), Data: data})
	}
}

// find returns the entry that begins at an offset.
func (s *scanner) find(off int64) (int, bool) {
	low, high := 0, len(s.offsets)
	for low < high {
		if mid := (low + high) / 2; s.offsets[mid] < off {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(s.offsets) && s.offsets[low] == off
}

// content returns an object to be a base.
func (s *scanner) content(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if o, ok := s.recent.get(id); ok {
		return o.Kind, o.Data, nil
	}
	if s.base == nil {
		return 0, nil, fmt.Errorf("base %s is not in the pack: %w", id, ErrCorrupt)
	}
	kind, data, err := s.base(id)
	if err != nil {
		return 0, nil, fmt.Errorf("base %s: %w", id, err)
	}
	return kind, data, nil
}

// delta applies a delta to its base and emits the outcome.
func (s *scanner) delta(at int, base gitobj.ID, kind gitobj.Kind, content, delta []byte) error {
	o, err := s.apply(base, kind, content, delta)
	if err != nil {
		return err
	}
	return s.done(at, o)
}

func (s *scanner) apply(base gitobj.ID, kind gitobj.Kind, content, delta []byte) (Object, error) {
	_, size, err := DeltaSizes(delta)
	if err != nil {
		return Object{}, err
	}
	if size > s.limits.ObjectBytes || s.total+size > s.limits.TotalBytes {
		return Object{}, fmt.Errorf("%d bytes more: %w", size, ErrLimit)
	}
	data, err := ApplyDelta(content, delta)
	return Object{Kind: kind, Data: data, Base: base, Delta: delta}, err
}

// done emits an object, and those that waited for it, one after the other.
func (s *scanner) done(at int, o Object) error {
	queue := []waiter{{at: at}}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		if w.delta != nil {
			kind, content, err := s.content(w.base)
			if err != nil {
				return err
			}
			if o, err = s.apply(w.base, kind, content, w.delta); err != nil {
				return err
			}
		}
		if s.total += int64(len(o.Data)); s.total > s.limits.TotalBytes {
			return fmt.Errorf("more than %d bytes of objects: %w", s.limits.TotalBytes, ErrLimit)
		}
		o.ID = gitobj.Hash(o.Kind, o.Data)
		s.ids[w.at] = o.ID
		s.recent.add(o, s.limits.MemoryBytes)
		if err := s.emit(o); err != nil {
			return err
		}
		queue = append(queue, s.waiting.release(w.at, o.ID)...)
	}
	return nil
}
