// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Compact forgets what is older than a revision: reads and watches before it
// fail from then on. It is durable when it returns; with physical the memory
// is free as well. Git history is not touched.
func (s *Store) Compact(ctx context.Context, rev int64, physical bool) (current int64, err error) {
	t := &compactTask{rev: rev, waiter: newWaiter()}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return 0, err
	}
	if t.err != nil {
		return t.current, t.err
	}
	if physical {
		s.trimming.wait()
	}
	return t.current, nil
}

type compactTask struct {
	waiter
	rev, current int64
	err          error
}

func (t *compactTask) perform(l *line, b *batch) {
	t.current, t.err = l.state.rev, l.admit(b, 0)
	switch {
	case t.err != nil:
	case t.rev <= l.state.compacted:
		t.err = ErrCompacted
	case t.rev > l.state.rev:
		t.err = ErrFutureRev
	default:
		c := l.begin(b)
		c.apply(op{kind: opCompact, mod: t.rev})
		c.end()
	}
}

// trimKeys is how many keys the line forgets in one go.
const trimKeys = 256

// trim frees, in its own goroutine, what a compaction has made unreachable;
// before is the revision of the one before it. A reader who is still at it finds out from the compacted revision, which moved before.
func (s *Store) trim(held window, before, rev int64) {
	s.trimming.run(func() {
		var gone []string
		for n := held.first; n < held.next; n++ {
			ev := held.at(n)
			if ev.after.mod > rev {
				break
			}
			ev.after.prev.Store(nil)
			s.releases(ev, before)
			if ev.after.deleted {
				gone = append(gone, ev.key)
			}
			if len(gone) == trimKeys {
				s.forget(gone, rev)
				gone = nil
			}
		}
		s.forget(gone, rev)
	})
}

func (s *Store) forget(keys []string, rev int64) {
	if len(keys) == 0 {
		return
	}
	t := &forgetTask{waiter: newWaiter(), keys: keys, rev: rev}
	if s.line.inbox.post(t) != nil {
		return
	}
	<-t.ready //nolint:errcheck // a store that fails or ends keeps nothing to forget
}

// forgetTask drops keys that were deleted before a compaction. Nobody can see them any more.
type forgetTask struct {
	waiter
	keys []string
	rev  int64
}

func (t *forgetTask) perform(l *line, b *batch) {
	l.state.forget(t.keys, t.rev)
	if len(b.record.txns) == 0 {
		l.sealed.index = l.state.copy()
	}
}

func (st *state) forget(keys []string, rev int64) {
	for _, key := range keys {
		if it, ok := st.dead.Get(item{key: key}); ok && it.head.mod <= rev {
			st.dead.Delete(item{key: key})
		}
	}
}

// trims are the trimmings under way. Unlike a WaitGroup, they may begin while somebody waits for the earlier ones.
type trims struct {
	mu sync.Mutex
	// ends has a channel for each, which closes at its end.
	ends map[chan struct{}]struct{}
}

// run does a trimming in a goroutine of its own.
func (t *trims) run(trim func()) {
	end := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends == nil {
		t.ends = map[chan struct{}]struct{}{}
	}
	t.ends[end] = struct{}{}
	go func() {
		defer close(end)
		defer t.forget(end)
		trim()
	}()
}

func (t *trims) forget(end chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ends, end)
}

// wait returns when those that have begun have ended.
func (t *trims) wait() {
	t.mu.Lock()
	ends := slices.Collect(maps.Keys(t.ends))
	t.mu.Unlock()
	for _, end := range ends {
		<-end
	}
}
