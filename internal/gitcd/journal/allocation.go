// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"math"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const (
	// leastRoom and mostRoom bound how much room is taken ahead of the writing: as much as there is written already.
	leastRoom = 256 << 10
	mostRoom  = 16 << 20
	// zeroPiece is how much is zero-filled at once, zeroAhead how far ahead of the writing: what a pause may leave unused.
	// Work ahead begins when half of it is used up, so that each write and sync of it serves many batches.
	zeroPiece = 256 << 10
	zeroAhead = 512 << 10
	// zeroFirst is what a new segment has at once.
	zeroFirst = 64 << 10
	// page is what is zero-filled with one write. A page cache keeps what was written at once as one piece, and
	// counts all of it as written again with each change.
	page = 4 << 10
)

var zeros [page]byte

// allocation is the room that a segment's file has:
//
//	0 ──── written ──── taken ──── zeroed ──── room ──── the segment's size
//
// A batch is written only below room, so that a full disk is found out before
// a byte of the batch is written. What lies below zeroed was written once
// already: syncing a change there takes no metadata along. That is worth its
// bytes, which go to the disk twice, only while syncs are small.
type allocation struct {
	mu   sync.Mutex
	cond *sync.Cond
	// room: the file has blocks up to here. zeroed: and they were written. taken: batches are, or will be, up to here.
	room, zeroed, taken int64
	// from is where the background is at work, with everything behind; idle if it is not.
	from int64
	// finished says that there is no more work ahead.
	finished bool
}

const idle = math.MaxInt64

func (a *allocation) init() {
	a.cond = sync.NewCond(&a.mu)
	a.from = idle
}

// begin says what the file has, and where the next batch begins.
func (a *allocation) begin(has room, taken int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.room, a.zeroed, a.taken = has.blocks, has.zeroed, taken
}

// reserve returns when a batch that ends at end can be written. It takes what
// room is lacking, and says whether more should be made ahead of the next ones.
func (a *allocation) reserve(f vfs.File, end int64, zero bool) (low bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.from < end {
		a.cond.Wait()
	}
	if a.room < end {
		if err := f.Allocate(end); err != nil {
			return false, err
		}
		a.room = end
	}
	a.taken = end
	return a.room < end+ahead(end)/2 || zero && a.zeroed < end+min(zeroAhead, ahead(end))/2, nil
}

// ahead is how much room there should be behind end.
func ahead(end int64) int64 { return min(max(end, leastRoom), mostRoom) }

// extend makes room ahead of the writing, up to limit, and with zero fills a
// piece of it. It says whether there is more to do.
func (a *allocation) extend(f vfs.File, limit int64, zero, durable bool) (more bool, err error) {
	if err := a.grow(f, limit); err != nil {
		return false, err
	}
	if !zero {
		return false, nil
	}
	a.mu.Lock()
	from := max(a.zeroed, a.taken)
	to := min(from+zeroPiece, a.room)
	if a.from != idle || from >= a.taken+zeroAhead || to <= from {
		a.mu.Unlock()
		return false, nil
	}
	a.from = from
	a.mu.Unlock()

	err = writeZeros(f, from, to)
	if err == nil && durable {
		err = f.Sync()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.zeroed = to
	}
	a.from = idle
	a.cond.Broadcast()
	return true, err
}

// grow takes room ahead of the writing.
func (a *allocation) grow(f vfs.File, limit int64) error {
	a.mu.Lock()
	to := min(a.taken+ahead(a.taken), limit)
	if a.from != idle || a.room >= to {
		a.mu.Unlock()
		return nil
	}
	a.from = a.room
	a.mu.Unlock()

	err := f.Allocate(to)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.room = to
	}
	a.from = idle
	a.cond.Broadcast()
	return err
}

// finish ends the work ahead for good: the file is about to be cut. A sealing
// that failed, since the disk was full, does it again.
func (a *allocation) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.from != idle && !a.finished {
		a.cond.Wait()
	}
	a.from, a.room, a.finished = 0, math.MaxInt64, true
}

func writeZeros(f vfs.File, from, to int64) error {
	for from < to {
		n := min(to-from, page-from%page)
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}
