// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

func drawOp(t *rapid.T) op {
	key := rapid.StringOf(rapid.RuneFrom([]rune{'/', 'a', 'b', 0, 'é'})).Draw(t, "key")
	rev, lease := rapid.Int64Range(1, 1<<50).Draw(t, "rev"), LeaseID(rapid.Int64().Draw(t, "lease"))
	grain := layout.Grain(rapid.IntRange(0, 2).Draw(t, "grain"))
	switch opKind(rapid.IntRange(1, 9).Draw(t, "kind")) {
	case opPut:
		return op{
			kind: opPut, grain: grain, key: key, mod: rev, create: rapid.Int64Range(1, rev).Draw(t, "create"), ver: rapid.Int64Range(1, 1<<40).Draw(t, "version"),
			lease: lease, blob: gitobj.Hash(gitobj.KindBlob, []byte(key)), size: rapid.Int64Range(-1, 1<<30).Draw(t, "size"),
		}
	case opDelete:
		placed := rapid.Bool().Draw(t, "placed")
		o := op{kind: opDelete, grain: grain, key: key, mod: rev, placed: placed}
		if placed {
			o.sub = rapid.Uint32().Draw(t, "sub")
		}
		return o
	case opRaise:
		return op{kind: opRaise, grain: grain, alarm: AlarmNoSpace}
	case opSilence:
		return op{kind: opSilence, grain: grain, alarm: AlarmCorrupt}
	case opRemain:
		return op{kind: opRemain, grain: grain, lease: lease, ttl: rapid.Int64().Draw(t, "ttl")}
	case opForward:
		return op{kind: opForward, grain: grain, mod: rev}
	case opGrant:
		return op{kind: opGrant, grain: grain, lease: lease, ttl: rapid.Int64().Draw(t, "ttl")}
	case opRevoke:
		return op{kind: opRevoke, grain: grain, lease: lease}
	default:
		return op{kind: opCompact, grain: grain, mod: rev}
	}
}

// TestRecord reads what was written, and finds anything that is missing.
func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := batchRecord{number: rapid.Uint64().Draw(t, "number"), time: rapid.Int64().Draw(t, "time")}
		for range rapid.IntRange(0, 4).Draw(t, "txns") {
			txn := txnRecord{flags: txnFlags(rapid.IntRange(0, 7).Draw(t, "flags"))}
			if txn.flags&isMerge != 0 {
				txn.theirs, txn.base, txn.message = gitobj.Hash(1, []byte("t")), gitobj.Hash(1, []byte("b")), rapid.String().Draw(t, "message")
			}
			for range rapid.IntRange(0, 4).Draw(t, "ops") {
				txn.ops = append(txn.ops, drawOp(t))
			}
			want.txns = append(want.txns, txn)
		}
		data := want.encode()
		d := newDecoder(data)
		kind, have := d.header(), d.batch()
		all := cmp.AllowUnexported(batchRecord{}, txnRecord{}, op{})
		empty := cmp.FilterValues(func(a, b []op) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
		none := cmp.FilterValues(func(a, b []txnRecord) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
		if diff := cmp.Diff(want, have, all, empty, none); diff != "" || kind != recordBatch || d.end() != nil {
			t.Fatalf("kind %d, %v, -want +have:\n%s", kind, d.end(), diff)
		}
		short := newDecoder(data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")])
		short.header()
		short.batch()
		if !errors.Is(short.end(), ErrBadRecord) {
			t.Fatalf("a record cut short: %v", short.end())
		}
	})
}

// FuzzRecord reads anything: an error or a record, and never more than there is.
func FuzzRecord(f *testing.F) {
	b := batchRecord{number: 1, txns: []txnRecord{{flags: isMerge, ops: []op{{kind: opPut, key: "/a", mod: 2, create: 2, ver: 1}, {kind: opDelete, key: "/ab", mod: 3}}}}}
	f.Add(b.encode())
	f.Add(commitRecord{upTo: place{batch: 1, txn: -1}}.encode())
	f.Add(session{number: 1, name: "x", take: true}.encode())
	f.Add((&payload{view: view{index: newIndex()}}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &Store{o: Options{}.withDefaults(), log: &MemLog{}}
		r := &recovery{store: s, state: state{view: view{index: newIndex()}, leases: newLeases(s.o.Clock)}}
		r.committer = newCommitter(s)
		if err := r.record(data); err != nil && !errors.Is(err, ErrBadRecord) {
			t.Errorf("record: %v", err)
		}
		if err := r.load(data); err != nil && !errors.Is(err, ErrBadRecord) {
			t.Errorf("checkpoint: %v", err)
		}
	})
}
