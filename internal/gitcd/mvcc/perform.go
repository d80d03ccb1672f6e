// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
)

// waiter is how a caller learns that its task is done.
type waiter struct{ ready chan error }

func newWaiter() waiter { return waiter{ready: make(chan error, 1)} }

func (w waiter) done(err error) { w.ready <- err }

// do has a task done by the line and waits until it is durable. A caller who
// goes away leaves the task to its fate.
func (s *Store) do(ctx context.Context, t task, w waiter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.line.inbox.post(t); err != nil {
		return err
	}
	select {
	case err := <-w.ready:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Txn does a transaction. One that cannot change anything reads the current snapshot.
func (s *Store) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	if err := s.admitKeys(&t); err != nil {
		return TxnResult{}, err
	}
	t.prepare(s.log != nil)
	if t.readonly() {
		return s.readTxn(ctx, &t)
	}
	task := &txnTask{txn: &t, cost: t.cost(), waiter: newWaiter()}
	if err := s.do(ctx, task, task.waiter); err != nil {
		return TxnResult{}, err
	}
	if task.err != nil {
		return TxnResult{}, task.err
	}
	return task.answer.resolve(ctx, s)
}

// readTxn does a transaction that changes nothing, without the line.
func (s *Store) readTxn(ctx context.Context, t *Txn) (TxnResult, error) {
	v := *s.current.Load()
	c, err := v.choose(t, s.vals)
	if err != nil {
		return TxnResult{}, err
	}
	if err := v.verify(t, c, s.leases); err != nil {
		return TxnResult{}, err
	}
	a := v.readAll(t, c)
	return a.resolve(ctx, s)
}

func (v view) readAll(t *Txn, c choice) txnAnswer {
	out := txnAnswer{revision: v.rev, succeeded: c.then}
	inner := 0
	for _, op := range c.ops(t) {
		if op.Txn != nil {
			a := v.readAll(op.Txn, c.below[inner])
			inner++
			out.answers = append(out.answers, answer{inner: &a})
			continue
		}
		out.answers = append(out.answers, answer{
			request: op.Range, from: &v, result: OpResult{Range: &RangeResult{Revision: v.rev}},
		})
	}
	return out
}

type txnTask struct {
	waiter
	txn    *Txn
	cost   int64
	answer txnAnswer
	err    error
}

func (t *txnTask) perform(l *line, b *batch) {
	var c choice
	if c, t.err = l.state.choose(t.txn, l.store.vals); t.err != nil {
		return
	}
	if t.err = l.state.verify(t.txn, c, l.state.leases); t.err != nil {
		return
	}
	if t.err = l.admit(b, t.cost); t.err != nil {
		return
	}
	ch := l.begin(b)
	t.answer = ch.txn(t.txn, c)
	ch.end()
}

// txn applies the chosen ops in order. It cannot fail: verify has seen to that.
func (c *change) txn(t *Txn, way choice) txnAnswer {
	out := txnAnswer{succeeded: way.then}
	inner := 0
	for _, op := range way.ops(t) {
		switch {
		case op.Range != nil:
			out.answers = append(out.answers, c.read(op.Range))
		case op.Put != nil:
			out.answers = append(out.answers, c.putOp(op.Put))
		case op.Delete != nil:
			out.answers = append(out.answers, c.deleteOp(op.Delete))
		case op.Txn != nil:
			a := c.txn(op.Txn, way.below[inner])
			inner++
			out.answers = append(out.answers, answer{inner: &a})
		}
	}
	out.revision = c.revision()
	return out
}

// read answers for one key at once, and leaves more to the caller, who gets
// the state as it is now.
func (c *change) read(r *RangeRequest) answer {
	rev := c.revision()
	out := answer{request: r, result: OpResult{Range: &RangeResult{Revision: rev}}}
	if r.span().single() && (r.Revision == 0 || r.Revision == rev) {
		if v := c.l.state.get(r.Key); v != nil {
			out.keys = []found{{key: r.Key, ver: v}}
		}
		return out
	}
	now := c.l.state.view
	now.index = now.copy()
	out.from = &now
	return out
}

func (c *change) putOp(p *Put) answer {
	was := c.l.state.get(p.Key)
	id := p.Lease
	if p.IgnoreLease {
		id = leaseOf(was)
	}
	if p.IgnoreValue {
		c.keepValue(p.Key, id)
	} else {
		c.put(p.Key, p.Value, p.blob, p.content, id)
	}
	out := answer{result: OpResult{Put: &PutResult{Revision: c.revision()}}}
	if p.PrevKV && was != nil {
		out.before = []found{{key: p.Key, ver: was}}
	}
	return out
}

func (c *change) deleteOp(d *Delete) answer {
	was := c.removeSpan(span{start: d.Key, end: d.End})
	out := answer{result: OpResult{Delete: &DeleteResult{Revision: c.revision(), Deleted: int64(len(was))}}}
	if d.PrevKV {
		out.before = was
	}
	return out
}

// Grant makes a lease of at least ttl seconds. A zero id has one picked.
func (s *Store) Grant(ctx context.Context, id LeaseID, ttl int64) (Lease, error) {
	if ttl > MaxLeaseTTL {
		return Lease{}, ErrLeaseTTLTooLarge
	}
	if id < 0 {
		return Lease{}, ErrLeaseNotFound
	}
	t := &grantTask{id: id, ttl: max(ttl, s.o.MinLeaseTTL), waiter: newWaiter()}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return Lease{}, err
	}
	return Lease{ID: t.id, Granted: t.ttl, Remaining: t.ttl}, t.err
}

type grantTask struct {
	waiter
	id  LeaseID
	ttl int64
	err error
}

func (t *grantTask) perform(l *line, b *batch) {
	if t.err = l.admit(b, leaseOverhead); t.err != nil {
		return
	}
	if t.id == 0 {
		t.id, t.err = l.state.leases.pick()
	} else if l.state.leases.has(t.id) {
		t.err = ErrLeaseExists
	}
	if t.err != nil {
		return
	}
	c := l.begin(b)
	c.apply(op{kind: opGrant, lease: t.id, ttl: t.ttl})
	c.end()
}

// pick returns a positive id that no lease has.
func (l *leases) pick() (LeaseID, error) {
	for {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, err
		}
		id := LeaseID(binary.BigEndian.Uint64(b[:]) & math.MaxInt64)
		if id != 0 && !l.has(id) {
			return id, nil
		}
	}
}

// Revoke ends a lease and deletes its keys.
func (s *Store) Revoke(ctx context.Context, id LeaseID) (revision int64, err error) {
	t := &revokeTask{id: id, waiter: newWaiter()}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return 0, err
	}
	return t.revision, t.err
}

type revokeTask struct {
	waiter
	id       LeaseID
	revision int64
	err      error
}

func (t *revokeTask) perform(l *line, b *batch) {
	if t.err = l.admit(b, 0); t.err != nil {
		return
	}
	if !l.state.leases.has(t.id) {
		t.err = ErrLeaseNotFound
		return
	}
	l.revoke(b, t.id)
	t.revision = l.state.rev
}

// Lease describes a lease.
func (s *Store) Lease(id LeaseID, keys bool) (Lease, error) { return s.leases.describe(id, keys) }

// Leases lists the leases, the next to expire first.
func (s *Store) Leases() []Lease { return s.leases.list() }
