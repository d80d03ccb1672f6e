// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"math"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// piece is how much is zero-filled at once; zeroAhead is how far ahead of the writing.
const (
	piece     = 256 << 10
	zeroAhead = 2 << 20
)

var zeros [piece]byte

// allocation is how far a segment's file is zero-filled. A batch is written
// only where the file has room already, so that a full disk is found out
// before a byte of the batch is written, and a sync has no metadata to write.
type allocation struct {
	mu   sync.Mutex
	cond *sync.Cond
	// done: the file has room up to here. claimed: someone is filling up to here.
	done, claimed int64
}

func (a *allocation) init() { a.cond = sync.NewCond(&a.mu) }

func (a *allocation) set(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done, a.claimed = n, n
}

// reserve returns when the file has room up to end. It fills up what is lacking.
func (a *allocation) reserve(f vfs.File, end int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.claimed > a.done && a.done < end {
		a.cond.Wait()
	}
	if a.done >= end {
		return nil
	}
	if err := writeZeros(f, a.done, end); err != nil {
		return err
	}
	a.done, a.claimed = end, end
	return nil
}

// fill zero-fills one more piece, up to limit, and syncs it. It says whether there was one.
func (a *allocation) fill(f vfs.File, limit int64, durable bool) (more bool, err error) {
	a.mu.Lock()
	if a.claimed > a.done || a.done >= limit {
		a.mu.Unlock()
		return false, nil
	}
	from, to := a.done, min(a.done+piece, limit)
	a.claimed = to
	a.mu.Unlock()

	err = writeZeros(f, from, to)
	if err != nil {
		to = from
	} else if durable {
		err = f.Sync()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done, a.claimed = to, to
	a.cond.Broadcast()
	return true, err
}

// finish ends the filling for good: the file is about to be cut.
func (a *allocation) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.claimed > a.done {
		a.cond.Wait()
	}
	a.done, a.claimed = math.MaxInt64, math.MaxInt64
}

func writeZeros(f vfs.File, from, to int64) error {
	for from < to {
		n := min(to-from, piece)
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}
