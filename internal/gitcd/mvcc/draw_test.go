// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"maps"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

var (
	modelKeys = []string{"a", "a/b", "a/b/c", "b", "/registry/pods/d/x", "/registry/pods/d/y", "/registry/leases/d/z", "compact_rev_key"}
	modelEnds = []string{"", "", "\x00", "b", "c", "/registry/pods0", "a/c", "\x01"}
	modelVals = []string{"", "1", `{"a":1}`, "{\"a\":[1,2]}\n", "%gitcd raw\nx", "{\n \"a\": 1\n}"}
)

func drawRange(t *rapid.T, rev int64) *mvcc.RangeRequest {
	r := &mvcc.RangeRequest{
		Key: rapid.SampledFrom(modelKeys).Draw(t, "key"), End: rapid.SampledFrom(modelEnds).Draw(t, "end"),
		Revision: rapid.Int64Range(0, rev+1).Draw(t, "revision"), Limit: rapid.Int64Range(0, 4).Draw(t, "limit"),
	}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		r.CountOnly = true
	case 1:
		r.KeysOnly = true
	case 2:
		r.SortTarget = mvcc.SortTarget(rapid.IntRange(0, 4).Draw(t, "target"))
		r.SortOrder = mvcc.SortOrder(rapid.IntRange(0, 2).Draw(t, "order"))
	case 3:
		r.MinModRevision, r.MaxCreateRevision = rapid.Int64Range(0, rev).Draw(t, "min"), rapid.Int64Range(0, rev).Draw(t, "max")
	}
	if rapid.Bool().Draw(t, "current") {
		r.Revision = 0
	}
	return r
}

// drawTxn makes a transaction that puts no key twice, as callers see to.
func drawTxn(t *rapid.T, m *model, depth int, free map[string]bool) mvcc.Txn {
	var out mvcc.Txn
	for range rapid.IntRange(0, 2).Draw(t, "compares") {
		c := mvcc.Compare{
			Key: rapid.SampledFrom(modelKeys).Draw(t, "key"), End: rapid.SampledFrom(modelEnds).Draw(t, "end"),
			Target: mvcc.Target(rapid.IntRange(0, 4).Draw(t, "target")), Relation: mvcc.Relation(rapid.IntRange(0, 3).Draw(t, "relation")),
			Number: rapid.Int64Range(0, 3).Draw(t, "number"), Value: []byte(rapid.SampledFrom(modelVals).Draw(t, "value")),
		}
		if c.Target == mvcc.CompareMod {
			c.Number = m.now()[c.Key].ModRevision
		}
		out.If = append(out.If, c)
	}
	out.Then = drawOps(t, m, depth, maps.Clone(free))
	out.Else = drawOps(t, m, depth, maps.Clone(free))
	return out
}

func drawOps(t *rapid.T, m *model, depth int, free map[string]bool) (out []mvcc.Op) {
	for range rapid.IntRange(0, 3).Draw(t, "ops") {
		kind := rapid.IntRange(0, 4).Draw(t, "op")
		key := rapid.SampledFrom(modelKeys).Draw(t, "key")
		switch {
		case kind == 0:
			out = append(out, mvcc.Op{Range: drawRange(t, m.rev)})
		case kind == 1 && depth < 2:
			inner := drawTxn(t, m, depth+1, map[string]bool{})
			out = append(out, mvcc.Op{Txn: &inner})
		case kind == 2:
			d := &mvcc.Delete{Key: key, PrevKV: rapid.Bool().Draw(t, "prev")}
			if rapid.Bool().Draw(t, "many") && len(free) == len(modelKeys) {
				d.End = rapid.SampledFrom(modelEnds).Draw(t, "end")
				clear(free)
			}
			if !free[key] && d.End == "" {
				continue
			}
			delete(free, key)
			out = append(out, mvcc.Op{Delete: d})
		case free[key]:
			delete(free, key)
			p := &mvcc.Put{Key: key, PrevKV: rapid.Bool().Draw(t, "prev")}
			switch rapid.IntRange(0, 5).Draw(t, "how") {
			case 0:
				p.IgnoreValue, p.IgnoreLease = true, rapid.Bool().Draw(t, "lease")
			case 1:
				p.Lease = mvcc.LeaseID(rapid.Int64Range(1, 3).Draw(t, "lease"))
			}
			if !p.IgnoreValue {
				p.Value = []byte(rapid.SampledFrom(modelVals).Draw(t, "value"))
			}
			out = append(out, mvcc.Op{Put: p})
		}
	}
	return out
}
