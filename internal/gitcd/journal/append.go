// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"syscall"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// Append writes the frames, all of them or none, behind everything that was
// written before, and returns their places. With durable it returns after a
// sync that covers them and everything before; without, they ride with the next
// one, and a sync under way is not waited for. No frames and durable is a
// barrier: it makes durable what was written before.
//
// Objects can be had from Get when Append returns. Refs show then, too, or with
// durable once they are. Objects that the open segment has already are skipped.
func (j *Journal) Append(ctx context.Context, frames []Frame, durable bool) ([]Place, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append to journal: %w", err)
	}
	if len(frames) == 0 {
		if err := j.failed(); err != nil || !durable {
			return nil, err
		}
		return nil, j.syncTo(j.Seq())
	}
	places, err := j.appendFrames(frames, durable)
	if err != nil || !durable {
		return places, err
	}
	if err := j.syncTo(places[len(places)-1].Seq); err != nil {
		return nil, err
	}
	return places, nil
}

func (j *Journal) appendFrames(frames []Frame, durable bool) ([]Place, error) {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.failed(); err != nil {
		return nil, err
	}
	if j.write.closed {
		return nil, fmt.Errorf("append to journal: %w", ErrClosed)
	}
	size, err := checkFrames(frames)
	if err != nil {
		return nil, err
	}
	refs, err := planRefs(j.write.refs, frames)
	if err != nil {
		return nil, err
	}
	seg := j.active()
	if seg.end > pack.HeaderSize && (seg.end+size > j.opts.SegmentSize || len(seg.entries) >= maxEntries) {
		if seg, err = j.roll(seg); err != nil {
			return nil, err
		}
	}
	d := &j.write.draft
	d.encode(head{
		chain: j.write.chain, nonce: seg.nonce, seq: j.write.seq + 1, segment: seg.segment,
		offset: uint32(seg.end),                       //nolint:gosec // a segment is smaller than 4 GiB
		synced: uint32(j.syncs.syncedIn(seg.segment)), //nolint:gosec // a segment is smaller than 4 GiB
	}, frames, seg)
	if err := j.put(seg, d); err != nil {
		seg.kin.forget()
		return nil, err
	}
	places := make([]Place, len(frames))
	for i := range places {
		places[i] = Place{Seq: j.write.seq + 1 + uint64(i), Segment: seg.segment, Offset: uint32(seg.end)} //nolint:gosec // a segment is smaller than 4 GiB
	}
	j.write.seq += uint64(len(frames))
	j.write.chain = d.sum
	applyRefs(j.write.refs, refs)
	j.publishBatch(seg, d, refChange{seq: j.write.seq, refs: refs}, durable)
	d.release()
	signal(j.dirty)
	return places, nil
}

// active returns the segment that batches go to. The caller holds write.
func (j *Journal) active() *segment {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.mu.segments[len(j.mu.segments)-1]
}

// put writes a batch where the segment ends. A full disk is found out before.
func (j *Journal) put(seg *segment, d *draft) error {
	low, err := seg.ahead.reserve(seg.file, seg.end+int64(len(d.data)), j.syncs.small())
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return &Error{Op: "append to", File: seg.name, Offset: seg.end, Err: fmt.Errorf("%w: %w", ErrNoSpace, err), Hint: "free some space: nothing was written, and writing goes on when there is room"}
		}
		return j.fail("append to", seg.name, err)
	}
	if _, err := seg.file.WriteAt(d.data, seg.end); err != nil {
		return j.fail("append to", seg.name, err)
	}
	if low {
		signal(j.room)
	}
	return nil
}

// publishBatch lets readers see a batch that was written.
func (j *Journal) publishBatch(seg *segment, d *draft, change refChange, durable bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seg.add(d.entries, seg.end+int64(len(d.data)))
	j.mu.written = change.seq
	switch {
	case len(change.refs) == 0:
	case durable:
		j.mu.pending = append(j.mu.pending, change)
	default:
		j.showLocked(change)
	}
}

// checkFrames refuses what cannot be written, and returns about how much room the frames take.
func checkFrames(frames []Frame) (int64, error) {
	size := int64(recordHeader + pack.MaxEntryHeader + pack.StoredSize(0) + framesSize(frames))
	for _, f := range frames {
		for i := range f.Objects {
			o := &f.Objects[i]
			if !o.Kind.Valid() || o.ID.IsZero() {
				return 0, fmt.Errorf("append to journal: object %s of kind %s is none", o.ID, o.Kind)
			}
			size += objectLine + pack.MaxEntryHeader + int64(pack.StoredSize(len(o.Data)))
		}
	}
	if size > maxBatch || int64(len(frames)) > math.MaxInt32 {
		return 0, fmt.Errorf("append to journal: %d bytes at once, at most %d: %w", size, maxBatch, ErrTooLarge)
	}
	return size + size/storedShare, nil
}

// storedShare is a safe bound for the share of block headers in a stored stream.
const storedShare = 4096

// framesSize returns at least how many bytes the frames take in a record.
func framesSize(frames []Frame) int {
	n := 0
	for _, f := range frames {
		n += 20 + len(f.Record)
		for _, r := range f.Refs {
			n += 10 + len(r.Name) + 2*gitobj.IDSize
		}
	}
	return n
}

// roll makes the segment's successor. Everything in the segment is durable
// before: a batch in a later segment proves that the earlier ones are whole.
func (j *Journal) roll(seg *segment) (*segment, error) {
	if err := j.syncTo(j.write.seq); err != nil {
		return nil, err
	}
	from := start{segment: seg.segment + 1, seq: j.write.seq, chain: j.write.chain, refs: maps.Clone(j.write.refs)}
	next, err := createSegment(j.fs, j.dir, from, j.newRoom(), !j.opts.NoSync)
	if errors.Is(err, syscall.ENOSPC) {
		return nil, &Error{Op: "append to", File: segmentName(j.dir, from.segment), Offset: -1, Err: fmt.Errorf("%w: %w", ErrNoSpace, err), Hint: "free some space: nothing was written, and writing goes on when there is room"}
	}
	if err != nil {
		return nil, j.fail("append to", segmentName(j.dir, from.segment), err)
	}
	seg.kin.forget()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.segments = append(j.mu.segments, next)
	signal(j.rolled)
	return next, nil
}
