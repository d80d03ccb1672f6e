// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// MaxLeaseTTL is the longest life of a lease, in seconds.
const MaxLeaseTTL = 9_000_000_000

// Lease is what can be known about a lease.
type Lease struct {
	ID LeaseID
	// Granted and Remaining are seconds.
	Granted, Remaining int64
	Keys               []string // sorted

	recorded int64
}

// lease is one lease. Whole seconds of life are granted anew with each keep-alive.
type lease struct {
	id     LeaseID
	ttl    int64 // seconds
	expiry time.Time
	keys   map[string]struct{}
	// recorded is what is left by the records, in seconds; 0 is all of it.
	recorded int64

	due  time.Time // where it is in the queue: at its expiry, or earlier if it was kept alive since
	slot int
}

// leases are the leases of a store. The line alone grants, revokes, attaches
// and detaches; keep-alives come from anywhere.
type leases struct {
	clock clock.Clock

	mu struct {
		sync.Mutex
		byID  map[LeaseID]*lease
		queue expiryQueue
	}
}

func newLeases(c clock.Clock) *leases {
	l := &leases{clock: c}
	l.mu.byID = map[LeaseID]*lease{}
	return l
}

func (l *leases) has(id LeaseID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.byID[id] != nil
}

// grant adds a lease, or gives one that is there already its time again.
func (l *leases) grant(id LeaseID, ttl int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	expiry := l.clock.Now().Add(time.Duration(ttl) * time.Second)
	if have := l.mu.byID[id]; have != nil {
		have.ttl, have.expiry = ttl, expiry
		return
	}
	n := &lease{id: id, ttl: ttl, expiry: expiry, due: expiry, keys: map[string]struct{}{}}
	l.mu.byID[id] = n
	heap.Push(&l.mu.queue, n)
}

func (l *leases) revoke(id LeaseID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.mu.byID[id]; n != nil {
		heap.Remove(&l.mu.queue, n.slot)
		delete(l.mu.byID, id)
	}
}

// get returns a lease, nil if there is none.
func (l *leases) get(id LeaseID) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.byID[id]
}

// restore brings back a lease that was revoked, with the keys it had then.
func (l *leases) restore(n *lease) {
	if n == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.byID[n.id] = n
	heap.Push(&l.mu.queue, n)
}

// remain notes what the records say is left of a lease, and returns what they said before.
func (l *leases) remain(id LeaseID, seconds int64) (before int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.mu.byID[id]
	if n == nil {
		return 0
	}
	before, n.recorded = n.recorded, seconds
	return before
}

// resume gives each lease the time that the records say is left of it, from now on.
func (l *leases) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	for _, n := range l.mu.byID {
		left := n.ttl
		if n.recorded > 0 {
			left = min(left, n.recorded)
		}
		n.expiry = now.Add(time.Duration(left) * time.Second)
		n.due = n.expiry
	}
	heap.Init(&l.mu.queue)
}

// move detaches key from one lease and attaches it to another. Zero is none.
func (l *leases) move(key string, from, to LeaseID) {
	if from == to {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.mu.byID[from]; n != nil {
		delete(n.keys, key)
	}
	if n := l.mu.byID[to]; n != nil {
		n.keys[key] = struct{}{}
	}
}

// keys returns the keys of a lease, sorted.
func (l *leases) keys(id LeaseID) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.mu.byID[id]
	if n == nil {
		return nil
	}
	return n.sortedKeys()
}

func (n *lease) sortedKeys() []string {
	out := make([]string, 0, len(n.keys))
	for k := range n.keys {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (l *leases) describe(id LeaseID, keys bool) (Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.mu.byID[id]
	if n == nil {
		return Lease{}, ErrLeaseNotFound
	}
	out := Lease{ID: id, Granted: n.ttl, Remaining: int64(n.expiry.Sub(l.clock.Now()) / time.Second)}
	if keys {
		out.Keys = n.sortedKeys()
	}
	return out, nil
}

// list returns all leases, by what is left of them.
func (l *leases) list() []Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	out := make([]Lease, 0, len(l.mu.byID))
	for _, n := range l.mu.byID {
		out = append(out, Lease{ID: n.id, Granted: n.ttl, Remaining: int64(n.expiry.Sub(now) / time.Second), recorded: n.recorded})
	}
	slices.SortFunc(out, func(a, b Lease) int {
		return cmp.Or(cmp.Compare(a.Remaining, b.Remaining), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// expired returns the leases whose time is over, and when the next one's may be.
func (l *leases) expired(now time.Time) (ids []LeaseID, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var over []*lease
	for len(l.mu.queue) > 0 {
		n := l.mu.queue[0]
		if n.due.After(now) {
			next = n.due
			break
		}
		if n.expiry.After(now) {
			n.due = n.expiry
			heap.Fix(&l.mu.queue, 0)
			continue
		}
		heap.Pop(&l.mu.queue)
		over = append(over, n)
		ids = append(ids, n.id)
	}
	for _, n := range over {
		heap.Push(&l.mu.queue, n) // until it is revoked
	}
	return ids, next
}

// expiryQueue is a heap, the next to expire first.
type expiryQueue []*lease

func (q expiryQueue) Len() int           { return len(q) }
func (q expiryQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q expiryQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].slot, q[j].slot = i, j
}

// Push implements heap.Interface.
func (q *expiryQueue) Push(x any) {
	n, ok := x.(*lease)
	if !ok {
		return
	}
	n.slot = len(*q)
	*q = append(*q, n)
}

// Pop implements heap.Interface.
func (q *expiryQueue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return n
}
