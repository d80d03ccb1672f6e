// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// marks is where each change leaves its name, so that the history tells who did what.
const marks = "/registry/marks/"

// attempt is a change that a client tries.
type attempt struct {
	id string

	txn    *mvcc.Txn
	merge  []mvcc.KeyChange
	grant  mvcc.LeaseID
	revoke mvcc.LeaseID
}

// fate is what is known of an attempt.
type fate struct {
	revision int64 // of what was acknowledged; 0: not answered, or it has none
	told     bool
}

// cell is a key in the model.
type cell struct {
	value            string
	create, mod, ver int64
	lease            mvcc.LeaseID
}

// event is what a watcher sees of a change; of a deletion, key and mod only.
type event struct {
	key string
	del bool
	cell
}

func eventOf(e mvcc.Event) event {
	if e.Type == mvcc.EventDelete {
		return event{key: e.KV.Key, del: true, cell: cell{mod: e.KV.ModRevision}}
	}
	return event{key: e.KV.Key, cell: cellOf(e.KV)}
}

func cellOf(kv mvcc.KeyValue) cell {
	return cell{string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease}
}

// told is what clients were told before a cut, and what that adds up to.
type told struct {
	mu  sync.Mutex
	cut bool // what is told from now on was not

	attempts map[string]*attempt        // id -> one that may be there
	fates    map[string]fate            // id -> what is known of it
	gone     map[string]bool            // ids of those that are known not to be there
	log      map[int64][]event          // revision -> its events, as seen by a watcher
	watched  int64                      // the log is complete up to here
	seen     int64                      // the last revision that anybody saw
	compact  [2]int64                   // the last compaction that was acknowledged, and that was tried
	heads    map[gitobj.ID]bool         // every head that was seen
	flushed  gitobj.ID                  // the last head that was said to be durable
	leases   map[mvcc.LeaseID]leaseFate // those that may be there
	next     int                        // for names

	// at is the model at revision rev: all before was compared already.
	at  map[string]cell
	rev int64
}

// leaseFate is what is known of a lease.
type leaseFate struct{ granted, revoking, revoked bool }

func newTold() *told {
	return &told{
		attempts: map[string]*attempt{}, fates: map[string]fate{}, gone: map[string]bool{}, log: map[int64][]event{},
		heads: map[gitobj.ID]bool{}, leases: map[mvcc.LeaseID]leaseFate{}, at: map[string]cell{}, rev: 1, watched: 1, seen: 1,
	}
}

// copyLocked returns what was told until now. The caller holds the lock.
func (o *told) copyLocked() *told {
	return &told{
		attempts: maps.Clone(o.attempts), fates: maps.Clone(o.fates), gone: maps.Clone(o.gone), log: maps.Clone(o.log),
		watched: o.watched, seen: o.seen, compact: o.compact, heads: maps.Clone(o.heads), flushed: o.flushed,
		leases: maps.Clone(o.leases), next: o.next, at: maps.Clone(o.at), rev: o.rev,
	}
}

// tell notes something, unless it comes after the cut.
func (o *told) tell(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.cut {
		f()
	}
}

// try notes that an attempt begins.
func (o *told) try(a *attempt) {
	o.tell(func() {
		o.attempts[a.id] = a
		if a.grant != 0 {
			o.leases[a.grant] = leaseFate{}
		}
		if l, ok := o.leases[a.revoke]; ok {
			l.revoking = true
			o.leases[a.revoke] = l
		}
	})
}

// done notes how an attempt ended: refused means that it did nothing.
func (o *told) done(a *attempt, revision int64, refused bool) {
	o.tell(func() {
		if refused {
			delete(o.attempts, a.id)
			o.gone[a.id] = true
			return
		}
		o.fates[a.id] = fate{revision: revision, told: true}
		o.seen = max(o.seen, revision)
		if a.grant != 0 {
			o.leases[a.grant] = leaseFate{granted: true}
		}
		if l, ok := o.leases[a.revoke]; ok {
			l.revoked = true
			o.leases[a.revoke] = l
		}
	})
}

// name returns a name that no other attempt has.
func (o *told) name(kind string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next++
	return fmt.Sprintf("%s-%d", kind, o.next)
}

// usable returns the leases that can be used.
func (o *told) usable() []mvcc.LeaseID {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []mvcc.LeaseID
	for id, l := range o.leases {
		if l.granted && !l.revoking {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// replay brings the model from o.rev to rev, and says what in the history cannot be.
func (o *told) replay(history map[int64][]event, rev int64) error {
	for o.rev < rev {
		at := o.rev + 1
		got := history[at]
		if len(got) == 0 {
			return fmt.Errorf("C3: revision %d of %d has no events", at, rev)
		}
		last, err := o.step(history, at)
		if err != nil {
			return fmt.Errorf("revision %d: %w", at, err)
		}
		if last > rev {
			return fmt.Errorf("C2: a merge goes from revision %d to %d, but the last is %d", at, last, rev)
		}
		o.rev = last
	}
	return nil
}

// step applies the attempt that made a revision, and returns the last revision that it made.
func (o *told) step(history map[int64][]event, at int64) (int64, error) {
	got := history[at]
	id := ""
	for _, e := range got {
		if !e.del && strings.HasPrefix(e.key, marks) {
			id = e.value
		}
	}
	var want []event
	last := at
	if id == "" {
		var err error
		if id, want, err = o.revocation(got, at); err != nil {
			return 0, err
		}
	}
	a := o.attempts[id]
	switch {
	case o.gone[id]:
		return 0, fmt.Errorf("C4: %s is back: it was not there before", id)
	case a == nil:
		return 0, fmt.Errorf("C4: nobody tried %q; events %v", id, got)
	case a.txn != nil:
		want = o.txn(a.txn, at)
	case a.merge != nil:
		want = o.merge(a.merge, at)
		last = at + int64(len(a.merge)) - 1
		got = nil
		for r := at; r <= last; r++ {
			if len(history[r]) > 1 {
				return 0, fmt.Errorf("C3: revision %d of merge %s has %d events", r, id, len(history[r]))
			}
			got = append(got, history[r]...)
		}
	}
	if !slices.Equal(got, want) {
		return 0, fmt.Errorf("C2: %s did\n  %v, want\n  %v", id, got, want)
	}
	if f := o.fates[id]; f.revision != 0 && f.revision != last && f.revision != at {
		return 0, fmt.Errorf("C1: %s is at revision %d, was acknowledged at %d", id, last, f.revision)
	}
	delete(o.attempts, id)
	delete(o.fates, id)
	o.gone[id] = true // once
	for _, e := range want {
		o.apply(e)
	}
	return last, nil
}

func (o *told) apply(e event) {
	if e.del {
		delete(o.at, e.key)
	} else {
		o.at[e.key] = e.cell
	}
}

// txn returns the events of a transaction on the model.
func (o *told) txn(t *mvcc.Txn, at int64) []event {
	ops := t.Then
	for _, c := range t.If {
		if o.at[c.Key].mod != c.Number {
			ops = t.Else
		}
	}
	var out []event
	for _, op := range ops {
		if d := op.Delete; d != nil {
			for _, key := range slices.Sorted(maps.Keys(o.at)) {
				if key == d.Key || d.End != "" && key >= d.Key && key < d.End {
					out = append(out, event{key: key, del: true, cell: cell{mod: at}})
				}
			}
			continue
		}
		out = append(out, o.put(op.Put.Key, string(op.Put.Value), op.Put.Lease, at))
	}
	return out
}

func (o *told) put(key, value string, lease mvcc.LeaseID, at int64) event {
	c := cell{value: value, create: at, mod: at, ver: 1, lease: lease}
	if was, ok := o.at[key]; ok {
		c.create, c.ver = was.create, was.ver+1
	}
	return event{key: key, cell: c}
}

func (o *told) merge(changes []mvcc.KeyChange, at int64) []event {
	var out []event
	for i, k := range changes {
		if k.Delete {
			out = append(out, event{key: k.Key, del: true, cell: cell{mod: at + int64(i)}})
		} else {
			out = append(out, o.put(k.Key, string(k.Value), 0, at+int64(i)))
		}
	}
	return out
}

// revocation finds the lease whose keys went.
func (o *told) revocation(got []event, at int64) (string, []event, error) {
	lease := o.at[got[0].key].lease
	var want []event
	for _, key := range slices.Sorted(maps.Keys(o.at)) {
		if lease != 0 && o.at[key].lease == lease {
			want = append(want, event{key: key, del: true, cell: cell{mod: at}})
		}
	}
	for id, a := range o.attempts {
		if a.revoke != 0 && a.revoke == lease {
			return id, want, nil
		}
	}
	return "", nil, fmt.Errorf("C2: no change leaves %v", got)
}
