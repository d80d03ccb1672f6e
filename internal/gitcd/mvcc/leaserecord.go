// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"time"
)

const (
	// leaseRecordInterval is how often it is recorded what is left of leases. A shorter lease has all its time again
	// after a restart.
	leaseRecordInterval = 5 * time.Minute
	// leaseRecordChunk is how many leases the line sees to in one go.
	leaseRecordChunk = 1000
)

// recordLeases records what is left of the leases that live long, so that a
// store that restarts often does not keep them for ever.
func (s *Store) recordLeases(ctx context.Context) {
	ids := s.leases.longLived()
	for len(ids) > 0 {
		n := min(len(ids), leaseRecordChunk)
		t := &remainTask{waiter: newWaiter(), ids: ids[:n]}
		if s.do(ctx, t, t.waiter) != nil {
			return // the next time does it
		}
		ids = ids[n:]
	}
}

type remainTask struct {
	waiter
	ids []LeaseID
}

func (t *remainTask) perform(l *line, b *batch) {
	if l.admit(b, 0) != nil {
		return
	}
	c := l.begin(b)
	for _, id := range t.ids {
		left, before, ok := l.state.leases.shorten(id)
		if !ok {
			continue
		}
		c.apply(op{kind: opRemain, lease: id, ttl: left})
		c.rec.ops[len(c.rec.ops)-1].before = before
	}
	c.end()
}

// longLived returns the leases of which less is left than the records say, and
// that live longer than the records are apart.
func (l *leases) longLived() (ids []LeaseID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	for id, n := range l.mu.byID {
		if n.ttl > int64(leaseRecordInterval/time.Second) && n.left(now) < n.onRecord() {
			ids = append(ids, id)
		}
	}
	return ids
}

// shorten notes that the records are about to say what is left of a lease. A
// keep-alive from now on has to correct them.
func (l *leases) shorten(id LeaseID) (left, before int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.mu.byID[id]
	now := l.clock.Now()
	if n == nil || !n.expiry.After(now) {
		return 0, 0, false
	}
	left, before = n.left(now), n.recorded
	if left >= n.onRecord() {
		return 0, 0, false
	}
	n.recorded = left
	return left, before, true
}

// left returns what is left of a lease, in seconds that have begun.
func (n *lease) left(now time.Time) int64 {
	return int64((n.expiry.Sub(now) + time.Second - 1) / time.Second)
}

// onRecord returns what is left by the records.
func (n *lease) onRecord() int64 {
	if n.recorded > 0 {
		return n.recorded
	}
	return n.ttl
}
