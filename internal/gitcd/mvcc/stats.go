// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"sync/atomic"
	"time"
)

// Stats are totals since the store was opened. They are counted without a lock, and read without one.
type Stats struct {
	// Puts, Deletes and PutBytes count what changed keys; Txns the transactions of more than one change.
	Puts, Deletes, PutBytes, Txns atomic.Int64
	// Ranges counts reads, and Events what was handed to watchers.
	Ranges, Events atomic.Int64
	// Expired counts leases whose time was over.
	Expired atomic.Int64
	// Batches counts what was published together, and Changes the transactions in them.
	Batches, Changes atomic.Int64
	// Sync is how long syncs took, and Commit how long commits did.
	Sync, Commit Histogram

	followed atomic.Int64 // when the last batch that the committer followed was made
}

// Stats returns the totals.
func (s *Store) Stats() *Stats { return &s.stats }

// count notes what a published batch did.
func (st *Stats) count(b *batch) {
	st.Batches.Add(1)
	st.Changes.Add(int64(len(b.record.txns)))
	var puts, deletes, bytes, txns int64
	for i := range b.events {
		if ev := &b.events[i]; ev.after.deleted {
			deletes++
		} else {
			puts++
			bytes += int64(len(ev.key)) + max(ev.after.size, 0)
		}
	}
	for i := range b.record.txns {
		if len(b.record.txns[i].ops) > 1 {
			txns++
		}
	}
	st.Puts.Add(puts)
	st.Deletes.Add(deletes)
	st.PutBytes.Add(bytes)
	st.Txns.Add(txns)
}

// Lag is how old the oldest change is that no commit has yet, about.
func (s *Store) Lag() time.Duration {
	if s.committer == nil || s.committer.backlog.Load() == 0 {
		return 0
	}
	at := s.stats.followed.Load()
	if at == 0 {
		return 0
	}
	return max(s.clock.Since(time.Unix(0, at)), 0)
}

// CacheStats says how many bytes of values are in memory, how many may be, and how many values had to be read again.
type CacheStats struct{ Held, Budget, Reads int64 }

// CacheStats describes the values in memory.
func (s *Store) CacheStats() CacheStats {
	s.vals.mu.Lock()
	defer s.vals.mu.Unlock()
	return CacheStats{Held: s.vals.mu.held, Budget: s.vals.budget, Reads: s.vals.reads.Load()}
}

// WatchStats says who watches.
type WatchStats struct {
	Streams, Watchers int64
	// Slow watchers have not been given everything yet; Pending is how many revisions they lack, together.
	Slow, Pending int64
}

// WatchStats counts streams and watchers.
func (s *Store) WatchStats() WatchStats {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	out := WatchStats{Streams: int64(len(s.hub.mu.streams))}
	for stream := range s.hub.mu.streams {
		out.Watchers += int64(len(stream.watchers))
		for _, w := range stream.watchers {
			if w.from != 0 {
				out.Slow++
				out.Pending += s.hub.mu.rev - w.from + 1
			}
		}
	}
	return out
}

// histogramBounds are the upper bounds of a histogram's buckets: 1 ms, doubled up to 8 s, as etcd has for its disk.
const (
	histogramFirst   = time.Millisecond
	histogramBuckets = 14
)

// Histogram counts how long something takes. The zero value is ready.
type Histogram struct {
	counts [histogramBuckets + 1]atomic.Uint64 // the last one is of what took longer than all bounds
	sum    atomic.Int64
}

// Observe counts a duration.
func (h *Histogram) Observe(d time.Duration) {
	i, bound := 0, histogramFirst
	for i < histogramBuckets && d > bound {
		i++
		bound *= 2
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Read returns, for each upper bound, how many took no longer than that; how many there were; and what they took together.
func (h *Histogram) Read() (buckets map[time.Duration]uint64, count uint64, sum time.Duration) {
	buckets = make(map[time.Duration]uint64, histogramBuckets)
	bound := histogramFirst
	for i := range h.counts {
		count += h.counts[i].Load()
		if i < histogramBuckets {
			buckets[bound] = count
			bound *= 2
		}
	}
	return buckets, count, time.Duration(h.sum.Load())
}
