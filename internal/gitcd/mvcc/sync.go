// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
)

// syncer makes batches durable, as many at once as were appended meanwhile,
// and publishes them in order.
func (s *Store) syncer(written <-chan *batch) {
	for b := range written {
		group := append(make([]*batch, 0, inFlight), b)
		for more := true; more && len(group) < inFlight; {
			select {
			case next, ok := <-written:
				if ok {
					group = append(group, next)
				} else {
					more = false
				}
			default:
				more = false
			}
		}
		s.settle(group)
		select {
		case s.line.settled <- struct{}{}:
		default:
		}
	}
}

// settle makes batches durable and publishes them, or fails them.
func (s *Store) settle(group []*batch) {
	err := s.sync(group)
	for _, b := range group {
		if err != nil {
			b.fail(err)
		} else {
			s.publish(b)
		}
	}
	s.line.passed.Add(-int32(len(group))) //nolint:gosec // at most inFlight
}

func (b *batch) fail(err error) {
	for _, t := range b.tasks {
		t.done(err)
	}
	for _, t := range b.tokens {
		t.fail(err)
	}
}

func (s *Store) sync(group []*batch) error {
	if err := s.failure(); err != nil {
		return err
	}
	for _, b := range group {
		if s.log == nil || len(b.record.txns) == 0 {
			continue
		}
		began := s.clock.Now()
		if _, err := s.log.Append(context.Background(), nil, true); err != nil {
			return s.fail(fmt.Errorf("sync the journal: %w", err))
		}
		s.stats.Sync.Observe(s.clock.Since(began))
		return nil
	}
	return nil
}

// publish makes a durable batch known: events first, then readers, then those
// who asked for it.
func (s *Store) publish(b *batch) {
	if len(b.record.txns) > 0 {
		s.stats.count(b)
		s.vals.add(b.fresh...)
		was := s.current.Load().compacted
		s.holds(b.events)
		v := b.view
		cut := s.hub.publish(b.events, v.rev, v.compacted, func() { s.current.Store(&v) })
		if cut.next > cut.first {
			s.trim(cut, was, v.compacted)
		}
		s.grown(b.size)
	}
	for _, t := range b.tasks {
		t.done(nil)
	}
	if s.committer != nil && (len(b.record.txns) > 0 || len(b.tokens) > 0) {
		s.committer.follow(b)
	}
}
