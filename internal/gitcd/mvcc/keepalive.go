// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// errOver says that a lease's time is over, though it is still there.
	errOver = errors.New("lease has expired")
	// errShort says that by the records a lease has less than its full time.
	errShort = errors.New("lease has less than its time on record")
)

// KeepAlive gives a lease its full time again and returns it, in seconds. A
// lease whose time is over does not come back: the answer waits until its keys
// are gone, so that nobody sees the one without the other.
func (s *Store) KeepAlive(ctx context.Context, id LeaseID) (ttl int64, err error) {
	if err := s.failure(); err != nil {
		return 0, err
	}
	ttl, err = s.leases.keepAlive(id, false)
	if !errors.Is(err, errOver) && !errors.Is(err, errShort) {
		return ttl, err
	}
	t := &renewTask{id: id, waiter: newWaiter()}
	if err := s.do(ctx, t, t.waiter); err != nil && !errors.Is(err, ErrNoSpace) {
		return 0, err
	}
	// Without room for the record the lease lives on all the same: only a restart would give it less.
	ttl, err = s.leases.keepAlive(id, true)
	if errors.Is(err, errOver) {
		err = ErrLeaseNotFound
	}
	return ttl, err
}

// renewTask records that a lease has its full time, or ends it if that is over.
type renewTask struct {
	waiter
	id LeaseID
}

func (t *renewTask) perform(l *line, b *batch) {
	switch _, err := l.state.leases.keepAlive(t.id, false); {
	case errors.Is(err, errShort):
		c := l.begin(b)
		c.apply(op{kind: opRemain, lease: t.id})
		c.end()
	case errors.Is(err, errOver) && !l.alarms().has(AlarmCorrupt):
		l.revoke(b, t.id)
	}
}

// keepAlive gives a lease its full time again and returns that, in seconds. If
// the records say less it does so only anyway.
func (l *leases) keepAlive(id LeaseID, anyway bool) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.mu.byID[id]
	if n == nil {
		return 0, ErrLeaseNotFound
	}
	now := l.clock.Now()
	switch {
	case !n.expiry.After(now):
		return 0, fmt.Errorf("keep lease %d alive: %w", id, errOver)
	case n.recorded > 0 && !anyway:
		return 0, fmt.Errorf("keep lease %d alive: %w", id, errShort)
	}
	n.expiry = now.Add(time.Duration(n.ttl) * time.Second)
	return n.ttl, nil
}
