// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

// What a state of a key takes in a database like etcd's, beside key and value.
const heldOverhead = 64

// HeldBytes is about how many bytes the changes would take that clients can
// still read: what the quota is about. A compaction makes it less; Git history
// has no part in it.
func (s *Store) HeldBytes() int64 { return s.held.Load() }

// heldBy is what one state of a key takes.
func heldBy(key string, v *version) int64 {
	if v == nil {
		return 0
	}
	return int64(len(key)) + max(v.size, 0) + heldOverhead
}

// countHeld adds up what a store holds that was just opened.
func (x index) countHeld() (total int64) {
	add := func(it item) bool {
		for v := it.head; v != nil; v = v.prev.Load() {
			total += heldBy(it.key, v)
		}
		return true
	}
	x.live.Scan(add)
	x.dead.Scan(add)
	return total
}

// holds notes what a batch adds.
func (s *Store) holds(events []event) {
	var n int64
	for i := range events {
		n += heldBy(events[i].key, events[i].after)
	}
	s.held.Add(n)
}

// releases notes what a compaction takes away: all that events up to it have
// overtaken since the compaction before, and deletions.
func (s *Store) releases(ev *event, before int64) {
	if ev.after.mod <= before {
		return
	}
	n := heldBy(ev.key, ev.before)
	if ev.after.deleted {
		n += heldBy(ev.key, ev.after)
	}
	s.held.Add(-n)
}
