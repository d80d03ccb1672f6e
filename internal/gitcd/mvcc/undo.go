// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"errors"
	"slices"
	"time"
)

// noSpaceRetry is how long nobody but clients tries to write when there was no room.
const noSpaceRetry = time.Second

// noTime is no time at all.
var noTime time.Time

// undo is the line's state before a batch, as far as the batch itself does not
// tell. The keys are those of the last batch that was sealed: what is in an
// index never changes, so going back costs nothing.
type undo struct {
	number     uint64
	time       int64
	open       uncommitted
	waitSince  time.Time
	lastCommit time.Time
}

func (l *line) before() undo {
	return undo{number: l.state.number, time: l.state.time, open: l.open, waitSince: l.waitSince, lastCommit: l.lastCommit}
}

// revert takes back a batch that the log had no room for. Nobody has heard of it.
func (l *line) revert(b *batch, to undo) {
	l.state.number, l.state.time = to.number, to.time
	l.open, l.waitSince, l.lastCommit = to.open, to.waitSince, to.lastCommit
	events := b.events
	for _, t := range slices.Backward(b.record.txns) {
		for _, o := range slices.Backward(t.ops) {
			switch o.kind {
			case opPut, opDelete:
				ev := events[len(events)-1]
				events = events[:len(events)-1]
				l.state.leases.move(ev.key, ev.after.lease, leaseOf(ev.before))
			case opGrant:
				l.state.leases.revoke(o.lease)
			case opRevoke:
				last := len(b.revoked) - 1
				l.state.leases.restore(b.revoked[last])
				b.revoked = b.revoked[:last]
			case opRemain:
				l.state.leases.remain(o.lease, o.before)
			case opCompact, opForward, opRaise, opSilence, opTreePut, opTreeDelete, opPutAt, opDeleteAt:
			}
		}
	}
	hint := l.state.hint
	l.state.view = l.sealed
	l.state.index = l.sealed.copy()
	l.state.hint = hint
}

// refuse takes back a batch that the log had no room for and raises the alarm.
// Then all who are in it are served again, one batch later: those who add
// something are refused now, the others may fit.
func (l *line) refuse(b *batch, to undo, cause error) {
	l.revert(b, to)
	l.store.alert(AlarmNoSpace)
	l.retryAt = l.store.clock.Now().Add(noSpaceRetry)
	again := &batch{}
	for _, t := range b.tasks {
		again.tasks = append(again.tasks, t)
		t.perform(l, again)
		if again.full || again.bytes >= batchBytes {
			l.lastTry(again, cause)
			again = &batch{}
		}
	}
	l.lastTry(again, cause)
}

// lastTry seals a batch, or fails all that is in it.
func (l *line) lastTry(b *batch, cause error) {
	if len(b.tasks) == 0 {
		return
	}
	to := l.before()
	err := l.append(b)
	switch {
	case err == nil:
		l.pass(b)
	case errors.Is(err, ErrNoSpace):
		l.revert(b, to)
		b.fail(cause)
	default:
		l.broke(b, err)
	}
}
