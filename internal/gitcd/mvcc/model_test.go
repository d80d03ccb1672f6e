// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// model is etcd as simple as can be: a whole map of the keys for each revision.
type model struct {
	states    map[int64]map[string]mvcc.KeyValue // revision -> keys
	rev       int64
	compacted int64
	events    []mvcc.Event
	leases    map[mvcc.LeaseID]bool
}

func newModel() *model {
	return &model{states: map[int64]map[string]mvcc.KeyValue{1: {}}, rev: 1, leases: map[mvcc.LeaseID]bool{}}
}

func (m *model) now() map[string]mvcc.KeyValue { return m.states[m.rev] }

func in(key, start, end string) bool {
	switch end {
	case "":
		return key == start
	case "\x00":
		return key >= start
	default:
		return key >= start && key < end
	}
}

func sortedKeys(state map[string]mvcc.KeyValue, start, end string) (out []mvcc.KeyValue) {
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if in(key, start, end) {
			out = append(out, state[key])
		}
	}
	return out
}

func (m *model) readable(rev int64) error {
	switch {
	case rev > m.rev:
		return mvcc.ErrFutureRev
	case rev != 0 && rev < m.compacted:
		return mvcc.ErrCompacted
	default:
		return nil
	}
}

// read is a range over a state. rev is what the answer says.
func read(state map[string]mvcc.KeyValue, r mvcc.RangeRequest, rev int64) *mvcc.RangeResult {
	kvs := sortedKeys(state, r.Key, r.End)
	out := &mvcc.RangeResult{Revision: rev, Count: int64(len(kvs))}
	if r.CountOnly {
		return out
	}
	kvs = slices.DeleteFunc(kvs, func(kv mvcc.KeyValue) bool {
		return (r.MaxModRevision != 0 && kv.ModRevision > r.MaxModRevision) || (r.MinModRevision != 0 && kv.ModRevision < r.MinModRevision) ||
			(r.MaxCreateRevision != 0 && kv.CreateRevision > r.MaxCreateRevision) || (r.MinCreateRevision != 0 && kv.CreateRevision < r.MinCreateRevision)
	})
	bounded := r.MaxModRevision != 0 || r.MinModRevision != 0 || r.MaxCreateRevision != 0 || r.MinCreateRevision != 0
	order := func(a, b mvcc.KeyValue) int {
		n := map[mvcc.SortTarget]int{
			mvcc.SortByKey: cmp.Compare(a.Key, b.Key), mvcc.SortByVersion: cmp.Compare(a.Version, b.Version),
			mvcc.SortByCreate: cmp.Compare(a.CreateRevision, b.CreateRevision), mvcc.SortByMod: cmp.Compare(a.ModRevision, b.ModRevision),
			mvcc.SortByValue: cmp.Compare(string(a.Value), string(b.Value)),
		}[r.SortTarget]
		if r.SortOrder == mvcc.Descending {
			return -n
		}
		return n
	}
	limit := func(n int64) {
		if r.Limit > 0 && int64(len(kvs)) > n {
			kvs = kvs[:n]
		}
	}
	if r.SortOrder == mvcc.Unsorted && !bounded {
		limit(r.Limit + 1) // before the sort, if the target is not the key
	}
	slices.SortStableFunc(kvs, order)
	out.More = r.Limit > 0 && int64(len(kvs)) > r.Limit
	limit(r.Limit)
	for i := range kvs {
		if r.KeysOnly {
			kvs[i].Value = nil
		}
	}
	out.KVs = kvs
	return out
}

func (m *model) compare(c mvcc.Compare) bool {
	kvs := sortedKeys(m.now(), c.Key, c.End)
	if len(kvs) == 0 {
		if c.Target == mvcc.CompareValue {
			return false
		}
		kvs = []mvcc.KeyValue{{}}
	}
	for _, kv := range kvs {
		n := map[mvcc.Target]int{
			mvcc.CompareVersion: cmp.Compare(kv.Version, c.Number), mvcc.CompareCreate: cmp.Compare(kv.CreateRevision, c.Number),
			mvcc.CompareMod: cmp.Compare(kv.ModRevision, c.Number), mvcc.CompareLease: cmp.Compare(int64(kv.Lease), c.Number),
			mvcc.CompareValue: strings.Compare(string(kv.Value), string(c.Value)),
		}[c.Target]
		if !map[mvcc.Relation]bool{mvcc.Equal: n == 0, mvcc.NotEqual: n != 0, mvcc.Greater: n > 0, mvcc.Less: n < 0}[c.Relation] {
			return false
		}
	}
	return true
}

// way is which ops a transaction and those inside do, all decided by the state before.
func (m *model) way(t mvcc.Txn) (then bool, ops []mvcc.Op) {
	if slices.ContainsFunc(t.If, func(c mvcc.Compare) bool { return !m.compare(c) }) {
		return false, t.Else
	}
	return true, t.Then
}

func (m *model) check(t mvcc.Txn) error {
	_, ops := m.way(t)
	for _, op := range ops {
		var err error
		switch {
		case op.Range != nil:
			err = m.readable(op.Range.Revision)
		case op.Put != nil:
			_, exists := m.now()[op.Put.Key]
			switch {
			case op.Put.Lease != 0 && !m.leases[op.Put.Lease]:
				err = mvcc.ErrLeaseNotFound
			case (op.Put.IgnoreLease || op.Put.IgnoreValue) && !exists:
				err = mvcc.ErrKeyNotFound
			}
		case op.Txn != nil:
			err = m.check(*op.Txn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *model) txn(t mvcc.Txn) (mvcc.TxnResult, error) {
	if err := m.check(t); err != nil {
		return mvcc.TxnResult{}, err
	}
	w := &modelWrite{m: m, state: maps.Clone(m.now()), rev: m.rev}
	out := w.txn(t)
	if w.rev > m.rev {
		m.rev = w.rev
		m.states[m.rev] = w.state
		m.events = append(m.events, w.events...)
	}
	return out, nil
}

type modelWrite struct {
	m      *model
	state  map[string]mvcc.KeyValue
	rev    int64
	events []mvcc.Event
}

func (w *modelWrite) txn(t mvcc.Txn) mvcc.TxnResult {
	ok, ops := w.m.way(t)
	out := mvcc.TxnResult{Succeeded: ok, Results: []mvcc.OpResult{}}
	for _, op := range ops {
		var r mvcc.OpResult
		switch {
		case op.Range != nil:
			state := w.state
			if op.Range.Revision > 0 && op.Range.Revision < w.rev {
				state = w.m.states[op.Range.Revision]
			}
			r.Range = read(state, *op.Range, w.rev)
		case op.Put != nil:
			r.Put = w.put(*op.Put)
		case op.Delete != nil:
			r.Delete = w.remove(*op.Delete)
		case op.Txn != nil:
			inner := w.txn(*op.Txn)
			r.Txn = &inner
		}
		out.Results = append(out.Results, r)
	}
	out.Revision = w.rev
	return out
}

func (w *modelWrite) put(p mvcc.Put) *mvcc.PutResult {
	w.rev = w.m.rev + 1
	was, existed := w.state[p.Key]
	kv := mvcc.KeyValue{Key: p.Key, Value: p.Value, CreateRevision: w.rev, ModRevision: w.rev, Version: 1, Lease: p.Lease}
	ev := mvcc.Event{Type: mvcc.EventPut}
	out := &mvcc.PutResult{Revision: w.rev}
	if existed {
		kv.CreateRevision, kv.Version = was.CreateRevision, was.Version+1
		if p.IgnoreValue {
			kv.Value = was.Value
		}
		if p.IgnoreLease {
			kv.Lease = was.Lease
		}
		ev.Prev = &was
		if p.PrevKV {
			out.Prev = &was
		}
	}
	w.state[p.Key] = kv
	ev.KV = kv
	w.events = append(w.events, ev)
	return out
}

func (w *modelWrite) remove(d mvcc.Delete) *mvcc.DeleteResult {
	gone := sortedKeys(w.state, d.Key, d.End)
	out := &mvcc.DeleteResult{Revision: w.rev, Deleted: int64(len(gone))}
	if len(gone) > 0 {
		w.rev = w.m.rev + 1
		out.Revision = w.rev
	}
	for _, kv := range gone {
		delete(w.state, kv.Key)
		w.events = append(w.events, mvcc.Event{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: kv.Key, ModRevision: w.rev}, Prev: &kv})
		if d.PrevKV {
			out.Prev = append(out.Prev, kv)
		}
	}
	return out
}
