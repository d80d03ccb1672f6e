// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"maps"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// ledger knows since when the forge lacks something of each branch (law F7).
//
//	our branch moves      it has waited since then, unless it was waiting already
//	a push begins         what moves from now on is noted apart
//	the push is answered  what waits, waits since it moved after the push began; else nothing waits
//	the push has failed   it has waited all the time
type ledger struct {
	clock clock.PassiveClock
	wake  chan struct{}               // holds one token when a branch has begun to wait
	read  func() map[string]gitobj.ID // our branches as they are

	// mu guards what follows.
	mu     sync.Mutex
	ours   map[string]gitobj.ID // branch -> head, as last seen
	theirs map[string]gitobj.ID // branch -> what the forge has confirmed
	since  map[string]time.Time // branch -> since when the forge lacks something of it
	sent   map[string]gitobj.ID // branch -> what is being pushed
	later  map[string]time.Time // branch -> when it moved on from that
}

func newLedger(clk clock.PassiveClock, read func() map[string]gitobj.ID) *ledger {
	return &ledger{
		clock: clk, wake: make(chan struct{}, 1), read: read, ours: map[string]gitobj.ID{}, theirs: map[string]gitobj.ID{},
		since: map[string]time.Time{}, sent: map[string]gitobj.ID{}, later: map[string]time.Time{},
	}
}

// moved notes where our branches are by now.
func (l *ledger) moved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ours = l.read()
	l.weighLocked(time.Time{})
}

// confirmed notes what the forge has, as a look found it. What it lacks and
// nobody knew of, it has lacked since the oldest of it was made.
func (l *ledger) confirmed(theirs map[string]gitobj.ID, oldest time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ours, l.theirs = l.read(), maps.Clone(theirs)
	l.weighLocked(oldest)
}

func (l *ledger) weighLocked(since time.Time) {
	now := l.clock.Now()
	if since.IsZero() || since.After(now) {
		since = now
	}
	fresh := false
	for name, id := range l.ours {
		if id == l.theirs[name] {
			delete(l.since, name)
			continue
		}
		if at, waits := l.since[name]; !waits || since.Before(at) {
			l.since[name] = since
			fresh = true
		}
		if sent, pushing := l.sent[name]; pushing && id != sent && l.later[name].IsZero() {
			l.later[name] = now
			fresh = true
		}
	}
	if fresh {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// begin notes what is about to be pushed.
func (l *ledger) begin(sent map[string]gitobj.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ours, l.sent, l.later = l.read(), sent, map[string]time.Time{}
	for name, id := range sent {
		if l.ours[name] != id { // it moved while the push was made ready
			l.later[name] = l.clock.Now()
		}
	}
}

// end notes how the push went.
func (l *ledger) end(took bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took {
		for name, id := range l.sent {
			l.theirs[name] = id
			delete(l.since, name)
			if at := l.later[name]; !at.IsZero() {
				l.since[name] = at
			}
		}
	}
	l.sent, l.later = map[string]gitobj.ID{}, map[string]time.Time{}
}

// waiting returns since when the forge lacks something of which branch.
func (l *ledger) waiting() map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.since)
}

// behind says whether the forge lacks something of a branch that is ready.
func (l *ledger) behind(ready func(name string) bool) bool {
	for name := range l.waiting() {
		if ready(name) {
			return true
		}
	}
	return false
}
