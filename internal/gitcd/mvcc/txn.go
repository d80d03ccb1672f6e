// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"bytes"
	"cmp"
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Target is what a comparison looks at.
type Target uint8

// The targets of a comparison.
const (
	CompareVersion Target = iota
	CompareCreate
	CompareMod
	CompareValue
	CompareLease
)

// Relation is how a key's state must stand to what is given.
type Relation uint8

// The relations.
const (
	Equal Relation = iota
	Greater
	Less
	NotEqual
)

// Compare is one condition of a transaction, on every key in [Key, End). A key
// that does not exist counts as all zeros, but has no value to compare.
type Compare struct {
	Key, End string
	Target   Target
	Relation Relation
	Number   int64 // for all targets but the value
	Value    []byte

	blob gitobj.ID // of Value
}

// Put sets a key.
type Put struct {
	Key   string
	Value []byte
	Lease LeaseID
	// PrevKV asks for the state before.
	PrevKV bool
	// IgnoreValue and IgnoreLease keep what the key has. The key must exist.
	IgnoreValue, IgnoreLease bool

	blob    gitobj.ID
	content []byte // of the blob
}

// Delete removes the keys in [Key, End).
type Delete struct {
	Key, End string
	// PrevKV asks for the states before.
	PrevKV bool
}

// Op is one step of a transaction: exactly one field is set.
type Op struct {
	Range  *RangeRequest
	Put    *Put
	Delete *Delete
	Txn    *Txn
}

// Txn does Then if all conditions hold, else Else. All conditions, also those
// of transactions inside it, are judged by the state before it; its steps see
// what earlier steps did. The caller sees to it that no key is put twice.
type Txn struct {
	If         []Compare
	Then, Else []Op
}

// OpResult answers an Op: the field of its kind is set.
type OpResult struct {
	Range  *RangeResult
	Put    *PutResult
	Delete *DeleteResult
	Txn    *TxnResult
}

// PutResult answers a Put.
type PutResult struct {
	Revision int64
	Prev     *KeyValue // nil if not asked for, or there was none
}

// DeleteResult answers a Delete.
type DeleteResult struct {
	Revision int64
	Deleted  int64
	Prev     []KeyValue
}

// TxnResult answers a Txn.
type TxnResult struct {
	// Revision is the one that the transaction made, or the current one if it changed nothing.
	Revision  int64
	Succeeded bool
	Results   []OpResult
}

// prepare does, in the caller's goroutine, what costs time and needs no order:
// blobs and their ids.
func (t *Txn) prepare(hash bool) {
	if !hash {
		return
	}
	for i := range t.If {
		if c := &t.If[i]; c.Target == CompareValue {
			c.blob = gitobj.Hash(gitobj.KindBlob, layout.Blob(c.Value))
		}
	}
	for _, ops := range [][]Op{t.Then, t.Else} {
		for _, op := range ops {
			switch {
			case op.Put != nil && !op.Put.IgnoreValue:
				op.Put.content = layout.Blob(op.Put.Value)
				op.Put.blob = gitobj.Hash(gitobj.KindBlob, op.Put.content)
			case op.Txn != nil:
				op.Txn.prepare(hash)
			}
		}
	}
}

// readonly says whether no branch of the transaction can change anything.
func (t *Txn) readonly() bool {
	for _, ops := range [][]Op{t.Then, t.Else} {
		for _, op := range ops {
			if op.Range == nil && (op.Txn == nil || !op.Txn.readonly()) {
				return false
			}
		}
	}
	return true
}

// choice is which way a transaction and those inside the chosen way go.
type choice struct {
	then  bool
	below []choice // one for each Txn of the chosen ops, in order
}

func (c choice) ops(t *Txn) []Op {
	if c.then {
		return t.Then
	}
	return t.Else
}

func (v view) choose(t *Txn, vals *values) (choice, error) {
	out := choice{then: true}
	for i := range t.If {
		ok, err := v.holds(&t.If[i], vals)
		if err != nil {
			return choice{}, err
		}
		if !ok {
			out.then = false
			break
		}
	}
	for _, op := range out.ops(t) {
		if op.Txn == nil {
			continue
		}
		c, err := v.choose(op.Txn, vals)
		if err != nil {
			return choice{}, err
		}
		out.below = append(out.below, c)
	}
	return out, nil
}

// none is what a key that does not exist compares as.
var none = &version{}

func (v view) holds(c *Compare, vals *values) (ok bool, err error) {
	ok = true
	seen := false
	v.ascend(span{start: c.Key, end: c.End}, func(it item) bool {
		seen = true
		ok, err = c.matches(it.head, vals)
		return ok && err == nil
	})
	if seen {
		return ok, err
	}
	if c.Target == CompareValue {
		return false, nil
	}
	return c.matches(none, vals)
}

func (c *Compare) matches(v *version, vals *values) (bool, error) {
	n := 0
	switch c.Target {
	case CompareVersion:
		n = cmp.Compare(v.ver, c.Number)
	case CompareCreate:
		n = cmp.Compare(v.create, c.Number)
	case CompareMod:
		n = cmp.Compare(v.mod, c.Number)
	case CompareLease:
		n = cmp.Compare(int64(v.lease), c.Number)
	case CompareValue:
		var err error
		if n, err = c.compareValue(v, vals); err != nil {
			return false, err
		}
	}
	switch c.Relation {
	case Equal:
		return n == 0, nil
	case NotEqual:
		return n != 0, nil
	case Greater:
		return n > 0, nil
	case Less:
		return n < 0, nil
	default:
		return false, nil
	}
}

// compareValue compares by id where it can: equal values have equal blobs, if
// it was layout that made them.
func (c *Compare) compareValue(v *version, vals *values) (int, error) {
	exact := c.Relation == Equal || c.Relation == NotEqual
	if exact && !c.blob.IsZero() && (v.blob == c.blob || v.size >= 0) {
		return v.blob.Compare(c.blob), nil
	}
	value, err := vals.load(v)
	if err != nil {
		return 0, err
	}
	return bytes.Compare(value, c.Value), nil
}

// verify finds, before anything is changed, what would fail on the chosen way.
func (v view) verify(t *Txn, c choice, leases *leases) error {
	inner := 0
	for _, op := range c.ops(t) {
		var err error
		switch {
		case op.Range != nil:
			err = v.check(op.Range.Revision)
		case op.Put != nil:
			err = v.verifyPut(op.Put, leases)
		case op.Txn != nil:
			err = v.verify(op.Txn, c.below[inner], leases)
			inner++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v view) verifyPut(p *Put, leases *leases) error {
	if p.Lease != 0 && !leases.has(p.Lease) {
		return ErrLeaseNotFound
	}
	if (p.IgnoreValue || p.IgnoreLease) && v.get(p.Key) == nil {
		return ErrKeyNotFound
	}
	return nil
}

// answer is a result whose values are still to be read, in the caller's goroutine.
type answer struct {
	result OpResult
	before []found // the states that prev_kv asks for

	request *RangeRequest
	keys    []found
	from    *view // nil: keys is complete already
	inner   *txnAnswer
}

type txnAnswer struct {
	revision  int64
	succeeded bool
	answers   []answer
}

// resolve reads what the answer lacks.
func (a *txnAnswer) resolve(ctx context.Context, s *Store) (TxnResult, error) {
	out := TxnResult{Revision: a.revision, Succeeded: a.succeeded, Results: make([]OpResult, len(a.answers))}
	for i := range a.answers {
		if err := a.answers[i].resolve(ctx, s); err != nil {
			return TxnResult{}, err
		}
		out.Results[i] = a.answers[i].result
	}
	return out, nil
}

func (a *answer) resolve(ctx context.Context, s *Store) error {
	switch {
	case a.inner != nil:
		r, err := a.inner.resolve(ctx, s)
		a.result.Txn = &r
		return err
	case a.request != nil:
		return a.resolveRange(ctx, s)
	}
	for _, f := range a.before {
		kv, err := s.vals.fill(f)
		if err != nil {
			return err
		}
		if a.result.Put != nil {
			a.result.Put.Prev = &kv
		} else {
			a.result.Delete.Prev = append(a.result.Delete.Prev, kv)
		}
	}
	return nil
}

func (a *answer) resolveRange(ctx context.Context, s *Store) error {
	count := int64(len(a.keys))
	if a.from != nil {
		var err error
		if a.keys, count, err = s.collect(ctx, *a.from, *a.request); err != nil {
			return err
		}
	}
	r, err := s.vals.finish(*a.request, a.result.Range.Revision, a.keys, count)
	a.result.Range = &r
	return err
}
