// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import "github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"

// state is what op records add up to. The line owns it; it is ahead of what is
// published by what is not durable yet.
type state struct {
	view
	leases  *leases
	number  uint64 // of the last batch
	time    int64  // of the last batch
	session session
	sub     uint32 // of the last change of the last revision
}

// apply does one recorded op, and returns the event it makes, if any. It is
// the same for an op that was just decided on and for one that is replayed.
func (st *state) apply(o *op) (ev event, changed bool) {
	switch o.kind {
	case opPut:
		v := &version{mod: o.mod, create: o.create, ver: o.ver, lease: o.lease, blob: o.blob, sub: st.place(o), size: o.size, aside: o.grain == layout.Local}
		ev = st.put(o.key, v)
		st.leases.move(ev.key, leaseOf(ev.before), o.lease)
	case opDelete:
		ev = st.remove(o.key, &version{mod: o.mod, sub: st.place(o), deleted: true})
		st.leases.move(ev.key, leaseOf(ev.before), 0)
	case opGrant:
		st.leases.grant(o.lease, o.ttl)
		return event{}, false
	case opRevoke:
		st.leases.revoke(o.lease)
		return event{}, false
	case opCompact:
		st.compacted = max(st.compacted, o.mod)
		return event{}, false
	case opTreePut, opTreeDelete, opPutAt, opDeleteAt: // the last two are only on disk
		return event{}, false
	case opForward:
		st.rev = max(st.rev, o.mod)
		return event{}, false
	case opRemain:
		o.before = st.leases.remain(o.lease, o.ttl)
		return event{}, false
	case opRaise:
		st.alarms |= o.alarm.bit()
		return event{}, false
	case opSilence:
		st.alarms &^= o.alarm.bit()
		return event{}, false
	}
	st.rev = o.mod
	return ev, true
}

// place returns which of its revision's changes an op is: the next one, unless it says so itself.
func (st *state) place(o *op) uint32 {
	switch {
	case o.placed:
		st.sub = o.sub
	case o.mod == st.rev:
		st.sub++
	default:
		st.sub = 0
	}
	return st.sub
}

func leaseOf(v *version) LeaseID {
	if v == nil {
		return 0
	}
	return v.lease
}
