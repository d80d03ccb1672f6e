// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Journal is an open journal. It is safe for concurrent use.
//
// Lock order: maintenance, write, mu; syncs and an allocation's own lock are
// innermost and never held over a call of another's.
type Journal struct {
	fs   vfs.FS
	dir  string
	opts Options
	lock vfs.File

	// failure is what killed the journal, if something has.
	failure atomic.Pointer[error]
	// publishError is how the publisher's last round ended.
	publishError atomic.Pointer[error]

	// maintenance guards the making of packs: publishing and sealing.
	maintenance sync.Mutex
	// oldTails are replaced tail packs, the oldest first, which a running git may still want to open.
	oldTails []oldTail
	// foreign are the packs that were there before the journal.
	foreign map[string]bool
	// shownRefs is the ref change that packed-refs has.
	shownRefs uint64

	// write is held by the one who writes: it orders batches.
	write struct {
		sync.Mutex
		closed bool
		seq    uint64
		chain  uint32
		draft  draft
		// refs are those after the last batch, durable or not.
		refs map[string]gitobj.ID
	}

	// mu guards what readers see.
	mu struct {
		sync.RWMutex
		// segments are ordered; batches go to the last.
		segments []*segment
		packs    []*packFile
		// folded says which of the packs hold what was sealed before; superseded are those that they replaced, at a time.
		folded       folded
		superseded   []*packFile
		supersededAt time.Time
		// shallow are the commits where history ends. The map never changes.
		shallow map[gitobj.ID]bool
		// written is the number of the last frame in the last segment.
		written uint64
		// pending are ref changes that show once they are durable.
		pending []refChange
		refs    map[string]visibleRef
		// refChanges counts the changes of refs.
		refChanges uint64
		changed    chan struct{}
	}

	syncs syncer

	checkpoint checkpoint
	repacking  repacking
	rescanning rescanning
	// loose says that others have left loose objects.
	loose bool

	// dirty tells the publisher of changes, rolled of a full segment; room tells the filler of progress.
	dirty, rolled, room chan struct{}
	stop                context.CancelFunc
	background          sync.WaitGroup
}

// refChange is a batch's ref updates.
type refChange struct {
	seq  uint64
	refs []RefUpdate
}

// visibleRef is what a ref shows, and since which frame. A deleted ref stays as a zero id.
type visibleRef struct {
	id  gitobj.ID
	seq uint64
}

// fail makes the journal refuse all that follows, and returns why.
func (j *Journal) fail(op, file string, cause error) error {
	var err error = &Error{Op: op, File: file, Offset: -1, Err: fmt.Errorf("%w: %w", ErrFailed, cause), Hint: hintDisk}
	if j.failure.CompareAndSwap(nil, &err) {
		j.mark(err)
	}
	return *j.failure.Load()
}

// failed returns what killed the journal.
func (j *Journal) failed() error {
	if err := j.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Err returns what killed the journal, or else why stock Git does not see the
// latest; nil if all is well.
func (j *Journal) Err() error {
	if err := j.failed(); err != nil {
		return err
	}
	if err := j.publishError.Load(); err != nil {
		return *err
	}
	return nil
}

// Seq returns the number of the last frame.
func (j *Journal) Seq() uint64 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.mu.written
}

// Close makes all durable, shows it to Git, and gives up the lock.
func (j *Journal) Close(ctx context.Context) error {
	j.write.Lock()
	closed := j.write.closed
	j.write.closed = true
	j.write.Unlock()
	if closed {
		return nil
	}
	j.stop()
	j.background.Wait()
	var errs []error
	if j.failed() == nil {
		errs = append(errs, j.syncTo(j.Seq()), j.Publish(ctx))
	}
	return errors.Join(append(errs, j.closeFiles())...)
}

func (j *Journal) closeFiles() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	for _, s := range j.mu.segments {
		errs = append(errs, s.file.Close())
	}
	for _, p := range slices.Concat(j.mu.packs, j.mu.superseded) {
		errs = append(errs, p.close())
	}
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
	}
	return errors.Join(errs...)
}

// signal puts a token into a channel of one place.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
