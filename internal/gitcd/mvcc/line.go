// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// inFlight is how many batches may be appended and not yet published.
const inFlight = 16

// line is the goroutine that orders all changes. It alone changes its state.
type line struct {
	store *Store
	state state

	sealed     view // after the last batch that was appended
	open       uncommitted
	waitSince  time.Time // when something began to wait for its commit; zero if nothing does
	lastCommit time.Time // when a transaction last ended a commit
	retryAt    time.Time // until when nothing is written that no client asks for, since there was no room
	seq        uint64    // of the last record appended
	written    chan<- *batch
	// pending is being formed while an earlier batch syncs.
	pending *batch
	// passed is how many batches are not published yet; settled has a token when there are none.
	passed  atomic.Int32
	settled chan struct{}

	inbox inbox
}

// inbox is where tasks wait for the line.
type inbox struct {
	wake chan struct{} // holds one token when there is something

	mu struct {
		sync.Mutex
		tasks []task
		err   error // why nothing is taken any more
	}
}

// post hands a task to the line.
func (in *inbox) post(t task) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.mu.err != nil {
		return in.mu.err
	}
	in.mu.tasks = append(in.mu.tasks, t)
	if len(in.mu.tasks) == 1 {
		select {
		case in.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func (in *inbox) take() []task {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.mu.tasks
	in.mu.tasks = nil
	return out
}

func (in *inbox) empty() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.mu.tasks) == 0
}

// shut lets nothing in any more, and returns what is in.
func (in *inbox) shut(err error) []task {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.mu.err == nil {
		in.mu.err = err
	}
	out := in.mu.tasks
	in.mu.tasks = nil
	return out
}

// run is the line's life. It ends when stop is closed, or when the store fails.
func (l *line) run(stop <-chan struct{}) {
	defer close(l.written)
	var timer clock.Timer
	var set time.Time
	for {
		next := l.nextDeadline()
		if timer == nil || !next.Equal(set) {
			if timer != nil {
				timer.Stop()
			}
			timer, set = l.timer(next), next
		}
		select {
		case <-l.inbox.wake:
		case <-l.settled:
		case <-timer.C():
			set = time.Time{}.Add(-1)
		case <-stop:
			l.turn()
			l.flush()
			timer.Stop()
			return
		}
		l.turn()
		if l.store.failure() != nil {
			l.flush()
			timer.Stop()
			return
		}
	}
}

// timer fires at a deadline, or much later if there is none.
func (l *line) timer(at time.Time) clock.Timer {
	d := time.Hour
	if !at.IsZero() {
		d = max(at.Sub(l.store.clock.Now()), 0)
	}
	return l.store.clock.NewTimer(d)
}

func (l *line) nextDeadline() time.Time {
	if !l.pending.empty() {
		return noTime // it is looked at when the batch is passed on
	}
	_, at := l.state.leases.expired(time.Time{})
	if commit := l.commitDeadline(); at.IsZero() || (!commit.IsZero() && commit.Before(at)) {
		at = commit
	}
	if !l.retryAt.IsZero() {
		return l.retryAt
	}
	return at
}

// A change of grain Full waits for its commit at least fullInterval when there
// is no time for one, and longer where commits are dear, but no longer than longInterval.
const (
	fullInterval = 50 * time.Millisecond
	longInterval = 150 * time.Millisecond
)

// patience is how long a change of grain Full waits now.
func (l *line) patience() time.Duration {
	c := l.store.committer
	if c == nil {
		return fullInterval
	}
	return min(max(fullInterval, pace*time.Duration(c.cost.Load())), longInterval)
}

// commitDeadline is when what waits for its commit has waited enough, zero if nothing waits.
func (l *line) commitDeadline() time.Time {
	switch {
	case l.waitSince.IsZero():
		return time.Time{}
	case l.open.full:
		return l.waitSince.Add(l.patience())
	default:
		return l.waitSince.Add(l.store.o.BatchInterval)
	}
}

// turn does all that is due or waits. What it changes becomes one batch with
// what comes while an earlier one syncs: fewer, larger batches cost less.
func (l *line) turn() {
	if l.pending.empty() {
		l.due(l.pending)
	}
	for {
		tasks := l.inbox.take()
		if len(tasks) == 0 {
			break
		}
		for _, t := range tasks {
			l.pending.tasks = append(l.pending.tasks, t)
			t.perform(l, l.pending)
			if l.pending.full || l.pending.bytes >= batchBytes {
				l.flush()
			}
		}
	}
	if l.passed.Load() == 0 {
		l.flush()
	}
}

// flush seals what is pending.
func (l *line) flush() {
	b := l.pending
	l.pending = &batch{}
	if !b.empty() {
		l.seal(b)
	}
}

// due expires leases and ends the wait of what is of grain Batch.
func (l *line) due(b *batch) {
	now := l.store.clock.Now()
	if now.Before(l.retryAt) {
		return
	}
	if !l.retryAt.IsZero() {
		l.retryAt = noTime
		l.record(b)
	}
	if !l.state.alarms.has(AlarmCorrupt) {
		over, _ := l.state.leases.expired(now)
		l.store.stats.Expired.Add(int64(len(over)))
		for _, id := range over {
			l.revoke(b, id)
		}
	}
	if at := l.commitDeadline(); !at.IsZero() && !now.Before(at) {
		b.record.txns = append(b.record.txns, txnRecord{flags: endsCommit | takesBatched})
	}
}

// revoke ends a lease and deletes its keys, in one revision. A lease without
// keys takes none.
func (l *line) revoke(b *batch, id LeaseID) {
	c := l.begin(b)
	for _, key := range l.state.leases.keys(id) {
		if v := l.state.get(key); v != nil && v.lease == id {
			c.remove(key)
		}
	}
	b.revoked = append(b.revoked, l.state.leases.get(id))
	c.apply(op{kind: opRevoke, lease: id})
	c.end()
}

// seal appends a batch and passes it on.
func (l *line) seal(b *batch) {
	to := l.before()
	err := l.append(b)
	switch {
	case err == nil:
		l.pass(b)
	case errors.Is(err, ErrNoSpace):
		l.refuse(b, to, err)
	default:
		l.broke(b, err)
	}
}

// broke ends the store: it is not known what is on the disk.
func (l *line) broke(b *batch, cause error) {
	b.fail(l.store.fail(fmt.Errorf("append to the journal: %w", cause)))
}

// pass hands on a batch that was appended.
func (l *line) pass(b *batch) {
	b.view = l.state.view
	if len(b.record.txns) > 0 {
		b.view.index = l.state.copy()
		l.sealed = b.view
	}
	if l.passed.Add(1) == 1 && len(b.tasks) == 1 && l.inbox.empty() {
		l.store.settle([]*batch{b}) // nobody else is there to be held up: it saves a change of goroutines
		return
	}
	l.written <- b
}

func (l *line) append(b *batch) error {
	if err := l.store.failure(); err != nil {
		return err
	}
	b.seq = l.seq
	if len(b.record.txns) == 0 {
		return nil
	}
	now := l.store.clock.Now()
	l.state.number++
	l.state.time = max(l.state.time, now.UnixNano())
	b.record.number, b.record.time = l.state.number, l.state.time
	l.commits(b, now)
	switch {
	case !l.open.any() || l.store.committer == nil:
		l.waitSince = time.Time{}
	case l.waitSince.IsZero():
		l.waitSince = now
	}
	if l.store.log == nil {
		return nil
	}
	record := b.record.encode()
	seq, err := l.store.log.Append(context.Background(), []Frame{{Record: record, Objects: b.objects}}, false)
	if err != nil {
		return err
	}
	l.seq = seq
	b.seq, b.size, b.objects = seq, len(record), nil
	return nil
}
