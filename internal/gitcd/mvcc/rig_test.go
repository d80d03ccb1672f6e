// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"errors"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// blank makes empty and missing slices the same.
func blank() gocmp.Option {
	return gocmp.Options{
		gocmp.Transformer("bytes", func(b []byte) string { return string(b) }),
		gocmp.FilterValues(func(a, b []mvcc.KeyValue) bool { return len(a)+len(b) == 0 }, gocmp.Ignore()),
		gocmp.FilterValues(func(a, b []mvcc.OpResult) bool { return len(a)+len(b) == 0 }, gocmp.Ignore()),
	}
}

// rig is a store beside its model.
type rig struct {
	t     *rapid.T
	ctx   context.Context //nolint:containedctx // rapid's actions take none
	m     *model
	log   *mvcc.MemLog
	store *mvcc.Store
}

func (r *rig) open() {
	store, err := mvcc.Open(r.ctx, r.log, mvcc.Options{Epoch: 1, ValueBudget: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = store
}

func (r *rig) txn(t *rapid.T) {
	free := map[string]bool{}
	for _, key := range modelKeys {
		free[key] = true
	}
	txn := drawTxn(t, r.m, 0, free)
	want, wantErr := r.m.txn(txn)
	have, err := r.store.Txn(r.ctx, txn)
	if !errors.Is(err, wantErr) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if diff := gocmp.Diff(want, have, blank()); diff != "" && err == nil {
		t.Fatalf("-want +have:\n%s", diff)
	}
}

func (r *rig) read(t *rapid.T) {
	request := drawRange(t, r.m.rev)
	wantErr := r.m.readable(request.Revision)
	have, err := r.store.Range(r.ctx, *request)
	if !errors.Is(err, wantErr) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if wantErr != nil {
		return
	}
	at := request.Revision
	if at == 0 {
		at = r.m.rev
	}
	if diff := gocmp.Diff(read(r.m.states[at], *request, r.m.rev), &have, blank()); diff != "" {
		t.Fatalf("%+v -want +have:\n%s", request, diff)
	}
}

func (r *rig) compact(t *rapid.T) {
	rev := rapid.Int64Range(0, r.m.rev+1).Draw(t, "compact")
	var want error
	switch {
	case rev <= r.m.compacted:
		want = mvcc.ErrCompacted
	case rev > r.m.rev:
		want = mvcc.ErrFutureRev
	default:
		r.m.compacted = rev
	}
	if _, err := r.store.Compact(r.ctx, rev, rapid.Bool().Draw(t, "physical")); !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func (r *rig) lease(t *rapid.T) {
	id := mvcc.LeaseID(rapid.Int64Range(1, 3).Draw(t, "lease"))
	if !r.m.leases[id] {
		if _, err := r.store.Grant(r.ctx, id, 1000); err != nil {
			t.Fatal(err)
		}
		r.m.leases[id] = true
		return
	}
	var then []mvcc.Op
	for _, kv := range sortedKeys(r.m.now(), "\x00", "\x00") {
		if kv.Lease == id {
			then = append(then, mvcc.Op{Delete: &mvcc.Delete{Key: kv.Key}})
		}
	}
	if _, err := r.m.txn(mvcc.Txn{Then: then}); err != nil {
		t.Fatal(err)
	}
	delete(r.m.leases, id)
	if rev, err := r.store.Revoke(r.ctx, id); err != nil || rev != r.m.rev {
		t.Fatalf("revoked at %d, %v; want %d", rev, err, r.m.rev)
	}
}

// restart opens the store again, from a checkpoint, or as after a crash.
func (r *rig) restart(t *rapid.T) {
	if rapid.Bool().Draw(t, "crash") {
		old := r.store
		defer func() { _ = old.Close(r.ctx) }()
		if _, err := r.store.Flush(r.ctx); err != nil { // its committer is still at work on the log
			t.Fatal(err)
		}
	} else if err := r.store.Close(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.open()
	for _, l := range r.store.Leases() {
		if !r.m.leases[l.ID] {
			t.Fatalf("lease %d is back", l.ID)
		}
	}
	if n := len(r.store.Leases()); n != len(r.m.leases) {
		t.Fatalf("%d leases after restart, want %d", n, len(r.m.leases))
	}
}

// watch replays a span's history from some revision on and compares every event.
func (r *rig) watch(t *rapid.T) {
	start := rapid.Int64Range(1, r.m.rev).Draw(t, "start")
	key, end := rapid.SampledFrom(modelKeys).Draw(t, "key"), rapid.SampledFrom([]string{"", "\x00", "b"}).Draw(t, "end")
	if end == "b" && key >= end {
		end = ""
	}
	var want []mvcc.Event
	for _, ev := range r.m.events {
		if ev.KV.ModRevision >= start && in(ev.KV.Key, key, end) {
			if ev.KV.ModRevision == r.m.compacted {
				ev.Prev = nil
			}
			want = append(want, ev)
		}
	}
	s := r.store.Watch()
	defer s.Close()
	s.Create(mvcc.WatchRequest{Key: key, End: end, Start: start, PrevKV: true})
	have, compacted, err := drain(r.ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if start < r.m.compacted {
		if compacted != r.m.compacted {
			t.Fatalf("watch from %d is compacted at %d, want %d", start, compacted, r.m.compacted)
		}
		return
	}
	if diff := gocmp.Diff(want, have, blank(), gocmp.FilterValues(func(a, b []mvcc.Event) bool { return len(a)+len(b) == 0 }, gocmp.Ignore())); diff != "" {
		t.Fatalf("watch %q %q from %d, -want +have:\n%s", key, end, start, diff)
	}
}

// drain reads a stream until it says that it is in step.
func drain(ctx context.Context, s *mvcc.WatchStream) (events []mvcc.Event, compacted int64, err error) {
	for {
		s.RequestProgress()
		r, err := s.Next(ctx)
		switch {
		case err != nil:
			return nil, 0, err
		case r.Canceled:
			return nil, r.CompactRevision, r.Err
		case r.Created:
		case len(r.Events) > 0:
			events = append(events, r.Events...)
		default:
			return events, 0, nil
		}
	}
}

// tree compares the branch's tree with the model.
func (r *rig) tree(t *rapid.T) {
	head, err := r.store.Flush(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, data, err := r.log.Get(head)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := gitobj.DecodeCommit(data)
	if err != nil {
		t.Fatal(err)
	}
	have, want := map[string]string{}, map[string]string{}
	err = treeedit.Walk(r.ctx, r.log, commit.Tree, func(key string, blob gitobj.ID) error {
		_, content, err := r.log.Get(blob)
		if err != nil {
			return err
		}
		value, err := layout.Value(content)
		have[key] = string(value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, kv := range r.m.now() {
		if layout.DefaultGrains().Of(key) != layout.Local {
			want[key] = string(kv.Value)
		}
	}
	if diff := gocmp.Diff(want, have); diff != "" {
		t.Fatalf("tree, -want +have:\n%s", diff)
	}
}

// TestModel compares a store, op by op and also across restarts, with the model (M2, M5, M6, M7).
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rig{t: t, ctx: context.Background(), m: newModel(), log: &mvcc.MemLog{}}
		r.open()
		defer func() { _ = r.store.Close(r.ctx) }()
		t.Repeat(map[string]func(*rapid.T){
			"txn": r.txn, "txn2": r.txn, "txn3": r.txn, "read": r.read, "read2": r.read,
			"compact": r.compact, "full": r.full, "lease": r.lease, "watch": r.watch, "tree": r.tree, "restart": r.restart,
		})
	})
}
