// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Stock Git sees a small change after PublishInterval, or half as much again if
// it was shown one just before: that takes several files, whatever the size of the
// change. While writes pour in it waits for a pause, and sees what is sealed
// meanwhile; after a while it is shown all.
const (
	littleUnshown = 256 << 10
	maxLag        = 10 // times PublishInterval
)

// startMaintenance shows Git what was recovered, and starts the two goroutines
// of a journal: the publisher, and the filler, which keeps room ahead of the writing.
func (j *Journal) startMaintenance(ctx context.Context) error {
	known := j.view()
	late := j.opts.PublishInterval > 0 && (known.unshown() >= sealUnshown || len(j.mu.segments) > 1)
	if !late {
		if err := j.showRecovered(ctx, known.refs); err != nil {
			return err
		}
	}
	j.background.Go(func() { j.keepRoom(ctx) })
	if j.opts.RepackInterval > 0 {
		j.background.Go(func() { j.RepackEvery(ctx, j.opts.RepackInterval) })
	}
	if j.opts.PublishInterval < 0 {
		return nil
	}
	j.background.Go(func() {
		if late { // nobody waits for a large segment to be sealed
			err := j.showRecovered(ctx, known.refs)
			j.published(ctx, err)
		}
		j.keepPublished(ctx)
	})
	return nil
}

// showRecovered shows Git what there is, and then removes what it would believe rather.
func (j *Journal) showRecovered(ctx context.Context, refs map[string]gitobj.ID) error {
	if err := j.Publish(ctx); err != nil {
		return err
	}
	return dropLooseRefs(j.fs, j.dir, refs)
}

// keepPublished publishes changes. What fails is tried again: the journal
// itself does not depend on it.
func (j *Journal) keepPublished(ctx context.Context) {
	var last time.Time // when Git was shown something
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.dirty:
		}
		if !j.awaitPause(ctx, last.IsZero() || j.opts.Clock.Since(last) >= j.opts.PublishInterval) {
			return
		}
		j.published(ctx, j.Publish(ctx))
		last = j.opts.Clock.Now()
	}
}

// published notes how publishing ended.
func (j *Journal) published(ctx context.Context, err error) {
	j.publishError.Store(&err)
	if err != nil && ctx.Err() == nil && j.failed() == nil {
		signal(j.dirty)
	}
}

// awaitPause returns when it is time to publish: after the interval, or a bit
// later if it was not calm before, if little has changed; else when writes pause, or
// have gone on for long. It seals what gets full meanwhile. It returns false if the journal ends.
func (j *Journal) awaitPause(ctx context.Context, calm bool) bool {
	began, wait := j.opts.Clock.Now(), j.opts.PublishInterval
	for {
		seq := j.Seq()
		timer := j.opts.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-j.rolled:
			timer.Stop()
			if err := j.publishSealed(ctx); err != nil {
				return true // Publish says why
			}
			began = j.opts.Clock.Now()
			continue
		case <-timer.C():
		}
		little := j.littleToShow()
		if j.Seq() == seq || calm && little || j.opts.Clock.Since(began) >= maxLag*j.opts.PublishInterval {
			return true
		}
		wait, calm = j.opts.PublishInterval/2, little
		if little { // many journals whose writes have one cause need not be shown in one moment
			wait += time.Duration(rand.Int64N(int64(wait)/4 + 1)) //nolint:gosec // it only spreads work
		}
	}
}

// littleToShow says whether what Git does not see is soon copied.
func (j *Journal) littleToShow() bool {
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	return j.view().unshown() < littleUnshown
}

// keepRoom makes room in the active segment ahead of the writing. A full disk is
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
			j.mu.RUnlock()
			more, err := seg.ahead.extend(seg.file, j.opts.SegmentSize, j.syncs.small(), !j.opts.NoSync)
			if errors.Is(err, syscall.ENOSPC) {
				break
			}
			if err != nil {
				// A sync that failed may have lost what Append wrote meanwhile.
				_ = j.fail("make room in", seg.name, err)
				break
			}
			if !more {
				break
			}
		}
	}
}
