// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// startMaintenance shows Git what was recovered, and starts the two goroutines
// of a journal: the publisher, which runs within PublishInterval of a change,
// and the filler, which keeps room ahead of the writing.
func (j *Journal) startMaintenance(ctx context.Context) error {
	if err := j.Publish(ctx); err != nil {
		return err
	}
	if err := dropLooseRefs(j.fs, j.dir, j.mu.refs); err != nil {
		return err
	}
	j.background.Go(func() { j.keepRoom(ctx) })
	if j.opts.PublishInterval < 0 {
		return nil
	}
	j.background.Go(func() { j.keepPublished(ctx) })
	return nil
}

// keepPublished publishes changes, at most once an interval. What fails is
// tried again at the next change: the journal itself does not depend on it.
func (j *Journal) keepPublished(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.dirty:
		}
		timer := j.opts.Clock.NewTimer(j.opts.PublishInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		err := j.Publish(ctx)
		j.publishError.Store(&err)
		if err != nil && ctx.Err() == nil && j.failed() == nil {
			signal(j.dirty)
		}
	}
}

// keepRoom zero-fills the active segment ahead of the writing. A full disk is
// no failure here: Append finds it out when it needs the room.
func (j *Journal) keepRoom(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.room:
		}
		for ctx.Err() == nil && j.failed() == nil {
			j.mu.RLock()
			seg := j.mu.segments[len(j.mu.segments)-1]
			limit := min(seg.end+zeroAhead, j.opts.SegmentSize)
			j.mu.RUnlock()
			more, err := seg.ahead.fill(seg.file, limit, !j.opts.NoSync)
			if errors.Is(err, syscall.ENOSPC) {
				break
			}
			if err != nil {
				// A sync that failed may have lost what Append wrote meanwhile.
				_ = j.fail("make room in", seg.name, fmt.Errorf("zero-fill: %w", err))
				break
			}
			if !more {
				break
			}
		}
	}
}
