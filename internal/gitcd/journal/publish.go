// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Stock Git sees sealed segments, and of the open one what tail packs show. To
// copy into tails is for small changes: a segment of which Git lacks a lot, or
// which has grown, is sealed early instead. That copies nothing.
const (
	sealUnshown = 1 << 20
	sealGrown   = 8 << 20
)

// Publish makes all objects and refs visible to stock Git, and seals what is full.
func (j *Journal) Publish(ctx context.Context) error {
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	if err := j.failed(); err != nil {
		return err
	}
	if err := j.publish(ctx); err != nil {
		return fmt.Errorf("publish to git: %w", err)
	}
	return nil
}

// publish holds maintenance.
func (j *Journal) publish(ctx context.Context) error {
	v := j.view()
	if unshown := v.unshown(); unshown >= sealUnshown || unshown > 0 && v.last.end >= sealGrown {
		if err := j.rollOver(v.last.seg); err != nil {
			return err
		}
	}
	open, err := j.sealFull(ctx)
	if err != nil {
		return err
	}
	if open == v.last.seg {
		if err := j.showEntries(open, v.last.entries); err != nil {
			return err
		}
	}
	if v.refChanges != j.shownRefs {
		if err := vfs.WriteFile(j.fs, path.Join(j.dir, packedRefsFile), packedRefs(v.refs), false); err != nil {
			return err
		}
		j.shownRefs = v.refChanges
	}
	if segment, offset := j.syncs.position(); segment > 0 {
		if err := writeSynced(j.fs, j.dir, segment, offset); err != nil {
			return err
		}
	}
	return j.retire()
}

// publishSealed seals what is full, and shows Git the refs as they were when
// the open segment was begun: it costs no copy, so it is for when writes pour in.
func (j *Journal) publishSealed(ctx context.Context) error {
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	if err := j.failed(); err != nil {
		return err
	}
	open, err := j.sealFull(ctx)
	if err == nil && open.shown == 0 { // else later refs than those are shown
		err = vfs.WriteFile(j.fs, path.Join(j.dir, packedRefsFile), packedRefs(open.refs), false)
		j.shownRefs = 0
	}
	if err == nil {
		err = j.retire()
	}
	if err != nil {
		return fmt.Errorf("publish to git: %w", err)
	}
	return nil
}

// sealFull seals all segments but the one that batches go to, which it returns.
func (j *Journal) sealFull(ctx context.Context) (open *segment, err error) {
	j.mu.RLock()
	segments := slices.Clone(j.mu.segments)
	j.mu.RUnlock()
	last := len(segments) - 1
	for _, seg := range segments[:last] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := j.seal(seg); err != nil {
			return nil, err
		}
		j.replace(seg.tails)
	}
	return segments[last], nil
}

// rollOver begins the next segment, though this one is not full.
func (j *Journal) rollOver(seg *segment) error {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.failed(); err != nil || j.active() != seg {
		return err
	}
	_, err := j.roll(seg)
	return err
}

// view is one moment of the journal: what refs show, and what the last segment has.
type view struct {
	last       extent
	refs       map[string]gitobj.ID
	refChanges uint64
}

// extent is how far a segment goes.
type extent struct {
	seg     *segment
	entries int
	end     int64
}

func (j *Journal) view() view {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return view{last: j.lastLocked(), refs: j.refsLocked(""), refChanges: j.mu.refChanges}
}

func (j *Journal) lastLocked() extent {
	seg := j.mu.segments[len(j.mu.segments)-1]
	return extent{seg: seg, entries: len(seg.entries), end: seg.end}
}

// unshown returns how many bytes of the last segment Git does not see. The caller holds maintenance.
func (v view) unshown() int64 {
	return v.last.end - max(v.last.seg.shownEnd, pack.HeaderSize)
}

// position returns up to where which segment is durable.
func (s *syncer) position() (segment uint32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segment, s.offset
}

// packedRefs returns the content of the packed-refs file.
func packedRefs(refs map[string]gitobj.ID) []byte {
	out := []byte("# pack-refs with: sorted\n")
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		out = fmt.Appendf(out, "%s %s\n", refs[name], name)
	}
	return out
}
