// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
)

// Alarm is a state that a person has to end. It outlives restarts.
type Alarm uint8

// The alarms. These numbers are on disk, and are etcd's.
const (
	// AlarmNoSpace says that there was no room, or more was used than Options.Quota: what adds keys, values or leases is refused.
	AlarmNoSpace Alarm = 1
	// AlarmCorrupt says that something that was written can no longer be read as it was: all changes are refused.
	AlarmCorrupt Alarm = 2
)

// String returns etcd's name of the alarm.
func (a Alarm) String() string {
	switch a {
	case AlarmNoSpace:
		return "NOSPACE"
	case AlarmCorrupt:
		return "CORRUPT"
	default:
		return fmt.Sprintf("alarm %d", uint8(a))
	}
}

func (a Alarm) bit() alarmSet { return 1 << (a - 1) }

// alarmSet is alarms, a bit each.
type alarmSet uint8

func (s alarmSet) has(a Alarm) bool { return s&a.bit() != 0 }

// allAlarms are the alarms that there can be.
var allAlarms = []Alarm{AlarmNoSpace, AlarmCorrupt}

// Alarms returns the alarms that are on.
func (s *Store) Alarms() []Alarm {
	set := s.alarms()
	var out []Alarm
	for _, a := range allAlarms {
		if set.has(a) {
			out = append(out, a)
		}
	}
	return out
}

// alarms are those on record, and those that there was no room to record.
func (s *Store) alarms() alarmSet {
	return s.current.Load().alarms | alarmSet(s.unrecorded.Load()) //nolint:gosec // it was one
}

// SetAlarm raises an alarm, or ends it. An alarm whose cause has not gone is raised again by the next who meets it.
func (s *Store) SetAlarm(ctx context.Context, a Alarm, on bool) error {
	if a != AlarmNoSpace && a != AlarmCorrupt {
		return fmt.Errorf("set %s: there is no such alarm", a)
	}
	t := &alarmTask{waiter: newWaiter(), alarm: a, on: on}
	return s.do(ctx, t, t.waiter)
}

type alarmTask struct {
	waiter
	alarm Alarm
	on    bool
}

func (t *alarmTask) perform(l *line, b *batch) {
	if t.on {
		l.raise(b, t.alarm)
		return
	}
	if t.alarm == AlarmNoSpace {
		l.retryAt = noTime
	}
	if l.alarms().has(t.alarm) {
		l.store.unrecord(t.alarm)
		c := l.begin(b)
		c.apply(op{kind: opSilence, alarm: t.alarm})
		c.end()
	}
}

// alarms are those on record or about to be, and those that there was no room to record.
func (l *line) alarms() alarmSet {
	return l.state.alarms | alarmSet(l.store.unrecorded.Load()) //nolint:gosec // it was one
}

// raise puts an alarm on record.
func (l *line) raise(b *batch, a Alarm) {
	if l.state.alarms.has(a) {
		return
	}
	c := l.begin(b)
	c.apply(op{kind: opRaise, alarm: a})
	c.end()
}

// record puts on record what there was no room for. The alarm stays with it, until it is durable, and a little longer.
func (l *line) record(b *batch) {
	for _, a := range allAlarms {
		if alarmSet(l.store.unrecorded.Load()).has(a) { //nolint:gosec // it was one
			l.raise(b, a)
		}
	}
}

// unrecord forgets an alarm that is not on record.
func (s *Store) unrecord(a Alarm) {
	for {
		old := s.unrecorded.Load()
		if s.unrecorded.CompareAndSwap(old, old&^uint32(a.bit())) {
			return
		}
	}
}

// alert turns an alarm on before it is on record.
func (s *Store) alert(a Alarm) {
	for {
		old := s.unrecorded.Load()
		if s.unrecorded.CompareAndSwap(old, old|uint32(a.bit())) {
			return
		}
	}
}

// noSpace raises AlarmNoSpace from outside the line.
func (s *Store) noSpace() {
	if s.alarms().has(AlarmNoSpace) {
		return
	}
	s.alert(AlarmNoSpace)
	t := &alarmTask{waiter: newWaiter(), alarm: AlarmNoSpace, on: true}
	_ = s.line.inbox.post(t) // a store that ends needs no alarm; the alarm is on already
}

// What a change takes beside its bytes, as etcd counts it.
const (
	putOverhead   = 256
	leaseOverhead = 64
)

// admit refuses what the alarms do not let in, and raises one when there is no
// room left for what costs some. Nothing is said of what costs nothing, unless
// the store is corrupt.
func (l *line) admit(b *batch, cost int64) error {
	set := l.alarms()
	switch {
	case set.has(AlarmCorrupt):
		return ErrCorrupt
	case cost == 0:
		return nil
	case set.has(AlarmNoSpace):
		return ErrNoSpace
	case l.store.o.Quota <= 0:
		return nil
	}
	if l.store.o.Size()+int64(b.bytes)+cost >= l.store.o.Quota {
		l.raise(b, AlarmNoSpace)
		return ErrNoSpace
	}
	return nil
}

// cost is what the dearer way of a transaction takes.
func (t *Txn) cost() int64 {
	var ways [2]int64
	for i, ops := range [][]Op{t.Then, t.Else} {
		for _, op := range ops {
			switch {
			case op.Put != nil:
				ways[i] += putOverhead + int64(len(op.Put.Key)+len(op.Put.Value))
			case op.Txn != nil:
				ways[i] += op.Txn.cost()
			}
		}
	}
	return max(ways[0], ways[1])
}
