// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// recovery replays segments in order. What it has seen so far is in start.
type recovery struct {
	start
	// hintSegment and hintOffset are the synced hint.
	hintSegment uint32
	hintOffset  int64
	// entriesOnly leaves the refs alone: they are of a time before start.
	entriesOnly bool
	// readOnly leaves a torn tail as it is.
	readOnly bool
}

// replay reads a segment's batches into memory and moves the recovery behind
// them. A tail that is not a whole batch is cut off, unless it was durable.
func (r *recovery) replay(seg *segment) error {
	size, err := seg.file.Size()
	if err != nil {
		return err
	}
	if err := seg.checkHeader(size); err != nil {
		return err
	}
	buf := make([]byte, windowSize)
	for {
		b, err := readBatch(seg.file, seg.end, size, buf)
		if err == nil {
			err = r.follows(seg, b)
		}
		switch {
		case errors.Is(err, errNoRecord) || errors.Is(err, errTorn):
			return r.stop(seg, size, err)
		case err != nil:
			return fmt.Errorf("recover %s: %w", seg.name, err)
		}
		if err := r.take(seg, b); err != nil {
			return err
		}
	}
}

// replaySealed reads the batches of a sealed segment, which end at end.
func (r *recovery) replaySealed(seg *segment, end int64) error {
	buf := make([]byte, windowSize)
	for seg.end < end {
		b, err := readBatch(seg.file, seg.end, end, buf)
		if err == nil {
			err = r.follows(seg, b)
		}
		if errors.Is(err, errNoRecord) || errors.Is(err, errTorn) {
			return &Error{Op: "replay", File: seg.name, Offset: seg.end, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
		}
		if err != nil {
			return fmt.Errorf("replay %s: %w", seg.name, err)
		}
		if err := r.take(seg, b); err != nil {
			return err
		}
	}
	return nil
}

// checkHeader checks that the segment begins as a pack, whatever its count.
func (s *segment) checkHeader(size int64) error {
	var h [pack.HeaderSize]byte
	if size >= pack.HeaderSize {
		if err := readAt(s.file, h[:], 0); err != nil {
			return err
		}
	}
	if _, err := pack.ParseHeader(h[:]); err != nil {
		return &Error{Op: "recover", File: s.name, Offset: 0, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
	}
	return nil
}

// follows says whether a batch is the next one.
func (r *recovery) follows(seg *segment, b *batch) error {
	first := len(seg.entries) == 0
	if b.segment == seg.segment && b.seq == r.seq+1 && b.chain == r.chain && (first || b.nonce == seg.nonce) {
		return nil
	}
	if first && b.segment == seg.segment {
		// It was written after all before it was durable: so something of that is gone.
		return &Error{Op: "recover", File: seg.name, Offset: b.off, Err: fmt.Errorf("frame %d follows frame %d: %w: %w", b.seq, r.seq, errChain, ErrCorrupt), Hint: hintRestore}
	}
	return fmt.Errorf("frame %d of segment %d after frame %d of segment %d: %w: %w", b.seq, b.segment, r.seq, seg.segment, errChain, errTorn)
}

// take adds a batch to the segment.
func (r *recovery) take(seg *segment, b *batch) error {
	entries, err := seg.entriesOf(b)
	if err != nil {
		return err
	}
	if !r.entriesOnly {
		refs, err := planRefs(r.refs, b.frames)
		if err != nil {
			return &Error{Op: "recover", File: seg.name, Offset: b.off, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
		}
		applyRefs(r.refs, refs)
	}
	seg.nonce = b.nonce
	seg.add(entries, b.end)
	r.seq += uint64(len(b.frames))
	r.chain = b.sum
	return nil
}

// entriesOf returns the entries of a batch as the segment keeps them.
func (s *segment) entriesOf(b *batch) ([]entry, error) {
	bad := func(why string) error {
		return &Error{Op: "recover", File: s.name, Offset: b.off, Err: fmt.Errorf("%s: %w: %w", why, errParts, ErrCorrupt), Hint: hintRestore}
	}
	entries := make([]entry, 1, len(b.lines)+1)
	entries[0] = entry{off: uint32(b.off), base: noBase} //nolint:gosec // a segment is smaller than 4 GiB
	for _, l := range b.lines {
		if !l.kind.Valid() || l.off >= b.body {
			return nil, bad("record names an entry that is none")
		}
		e := entry{id: l.id, kind: l.kind, depth: l.depth, off: uint32(b.bodyOff) + l.off, base: noBase} //nolint:gosec // a segment is smaller than 4 GiB
		if l.base != 0 {
			at, ok := entryAt(s.entries, l.base)
			if int64(l.base) >= b.off {
				at, ok = entryAt(entries, l.base)
				at += len(s.entries)
			}
			if !ok {
				return nil, bad("record names a delta's base that is none")
			}
			e.base = int32(at) //nolint:gosec // a segment has fewer than 2G entries
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// entryAt returns the place of the entry that begins at an offset.
func entryAt(entries []entry, off uint32) (int, bool) {
	return slices.BinarySearchFunc(entries, off, func(e entry, off uint32) int { return cmp.Compare(e.off, off) })
}

// stop ends the replay of a segment where there is no whole batch: that is the
// end, a tail that power tore, or damage.
func (r *recovery) stop(seg *segment, size int64, cause error) error {
	used, synced, err := survey(seg, size)
	if err != nil {
		return fmt.Errorf("recover %s: %w", seg.name, err)
	}
	if r.hintSegment == seg.segment {
		synced = max(synced, r.hintOffset)
	}
	if synced > seg.end {
		return &Error{
			Op: "recover", File: seg.name, Offset: seg.end, Hint: hintRestore,
			Err: fmt.Errorf("bytes up to %d were durable, but %w: %w", synced, cause, ErrCorrupt),
		}
	}
	if used <= seg.end || r.readOnly {
		return nil
	}
	// What is left of a torn tail must not be mistaken for a batch later.
	if err := writeZeros(seg.file, seg.end, used); err != nil {
		return fmt.Errorf("recover %s: %w", seg.name, err)
	}
	if err := seg.file.Sync(); err != nil {
		return fmt.Errorf("recover %s: %w", seg.name, err)
	}
	return nil
}

// survey reads what lies behind the last batch. used is where zeros begin
// for good; synced is below what offset whole records, if there are any, say
// that the segment was durable when they were written.
func survey(seg *segment, size int64) (used, synced int64, err error) {
	const window = 1 << 20
	buf := make([]byte, min(window, size-seg.end))
	used = seg.end
	for at := seg.end; at < size; {
		n := int(min(int64(len(buf)), size-at))
		if err := readAt(seg.file, buf[:n], at); err != nil {
			return 0, 0, err
		}
		if last := len(bytes.TrimRight(buf[:n], "\x00")); last > 0 {
			used = at + int64(last)
			s, err := claims(seg, buf[:last], at, size)
			if err != nil {
				return 0, 0, err
			}
			synced = max(synced, s)
		}
		if at += int64(n); at < size && n > recordHeader {
			at -= recordHeader // a magic may lie across the edge
		}
	}
	return used, synced, nil
}

// claims looks for whole records in a window at an offset, and returns the largest synced offset they tell.
func claims(seg *segment, window []byte, at, size int64) (synced int64, err error) {
	for from := 0; ; {
		hit := bytes.Index(window[from:], []byte(recordMagic))
		if hit < 0 {
			return synced, nil
		}
		magic := at + int64(from+hit)
		from += hit + len(recordMagic)
		// The record begins with the header of its entry and of its stream.
		for off := magic - 8; off > magic-8-pack.MaxEntryHeader && off >= seg.end; off-- {
			b, err := readBatch(seg.file, off, size, nil)
			switch {
			case errors.Is(err, errTorn) || errors.Is(err, errNoRecord):
				continue
			case err != nil && !errors.Is(err, io.EOF):
				return 0, err
			case err == nil && b.segment == seg.segment && (len(seg.entries) == 0 || b.nonce == seg.nonce):
				synced = max(synced, int64(b.synced))
			}
			break
		}
	}
}

// refsOf returns a copy with visible refs.
func refsOf(refs map[string]gitobj.ID, seq uint64) map[string]visibleRef {
	out := make(map[string]visibleRef, len(refs))
	for name, id := range refs {
		out[name] = visibleRef{id: id, seq: seq}
	}
	return out
}
