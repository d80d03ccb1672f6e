// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// wire is a bare watch stream: what is on it, in order.
type wire struct {
	t      *testing.T
	stream pb.Watch_WatchClient
	got    chan *pb.WatchResponse
}

func (a *api) wire(t *testing.T) *wire {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := a.watch.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, stream: stream, got: make(chan *pb.WatchResponse, 1000)}
	go func() {
		defer close(w.got)
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			w.got <- r
		}
	}()
	return w
}

func (w *wire) create(r *pb.WatchCreateRequest) {
	w.t.Helper()
	if err := w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) cancel(id int64) {
	w.t.Helper()
	r := &pb.WatchCancelRequest{WatchId: id}
	if err := w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: r}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) progress() {
	w.t.Helper()
	if err := w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}); err != nil {
		w.t.Fatal(err)
	}
}

// next says in short what comes next: created 3, canceled 3, +a@5 -b@6, progress 7 ...
func (w *wire) next() string {
	w.t.Helper()
	select {
	case r, ok := <-w.got:
		if !ok {
			return "end"
		}
		return short(r)
	case <-time.After(10 * time.Second):
		w.t.Fatal("nothing comes")
		return ""
	}
}

func (w *wire) want(all ...string) {
	w.t.Helper()
	for _, want := range all {
		if have := w.next(); have != want {
			w.t.Fatalf("%s, want %s", have, want)
		}
	}
}

func (w *wire) silent() {
	w.t.Helper()
	select {
	case r := <-w.got:
		w.t.Fatalf("%s comes unasked", short(r))
	case <-time.After(30 * time.Millisecond):
	}
}

func short(r *pb.WatchResponse) string {
	var out []string
	if r.Created {
		out = append(out, "created")
	}
	if r.Canceled {
		out = append(out, "canceled")
	}
	if r.CompactRevision != 0 {
		out = append(out, fmt.Sprint("compacted ", r.CompactRevision))
	}
	if r.CancelReason != "" {
		out = append(out, r.CancelReason)
	}
	for _, ev := range r.Events {
		sign := "+"
		if ev.Type == mvccpb.Event_DELETE {
			sign = "-"
		}
		out = append(out, fmt.Sprintf("%s%s@%d", sign, ev.Kv.Key, ev.Kv.ModRevision))
	}
	if r.Fragment {
		out = append(out, "more")
	}
	if len(out) == 0 {
		out = append(out, fmt.Sprint("progress ", r.Header.Revision))
	}
	return fmt.Sprintf("%d: %s", r.WatchId, strings.Join(out, " "))
}

// TestWatchIDs creates and cancels: answers come in the order of the requests, before any event.
func TestWatchIDs(t *testing.T) {
	a := newAPI(t)
	a.put(t, "a", "1")
	w := a.wire(t)
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 1})
	w.want("0: created", "0: +a@2")
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 7})
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: 7})
	w.create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a")})
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: -5})
	w.create(&pb.WatchCreateRequest{})
	w.want(
		"7: created", "-1: created canceled mvcc: duplicate watch ID provided on the WatchStream",
		"-1: created canceled mvcc: watcher range is empty",
		"-1: created canceled "+rpctypes.ErrCompacted.Error(), "1: created",
	)
	w.cancel(7)
	w.cancel(99)
	w.want("7: canceled")
	a.put(t, "\x00", "1")
	a.put(t, "a", "2")
	w.want("1: +\x00@3", "0: +a@4")
	w.cancel(0)
	w.want("0: canceled")
	a.put(t, "a", "3")
	w.silent()
	if err := w.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	a.put(t, "\x00", "2") // who asks no more listens on
	w.want("1: +\x00@6")
}

// TestWatchRanges tells one key, a range and all keys from one on.
func TestWatchRanges(t *testing.T) {
	a := newAPI(t)
	w := a.wire(t)
	for i, r := range []struct{ key, end string }{{"b", ""}, {"b", "d"}, {"b", "\x00"}, {"", "\x00"}} {
		w.create(&pb.WatchCreateRequest{Key: []byte(r.key), RangeEnd: []byte(r.end)})
		w.want(fmt.Sprintf("%d: created", i))
	}
	for i, c := range []struct {
		key  string
		seen []int
	}{{"a", []int{3}}, {"b", []int{0, 1, 2, 3}}, {"b\x00", []int{1, 2, 3}}, {"c", []int{1, 2, 3}}, {"d", []int{2, 3}}, {"\xff\xff", []int{2, 3}}} {
		a.put(t, c.key, "1")
		have := map[string]bool{}
		for range c.seen {
			have[w.next()] = true
		}
		for _, id := range c.seen {
			if want := fmt.Sprintf("%d: +%s@%d", id, c.key, i+2); !have[want] {
				t.Errorf("%q: no %q in %v", c.key, want, have)
			}
		}
	}
	w.silent()
}

// TestWatchCompacted starts and stays behind a compaction.
func TestWatchCompacted(t *testing.T) {
	a := newAPI(t)
	a.put(t, "a", "1")
	a.put(t, "b", "1")
	if _, err := a.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	a.put(t, "a", "2")
	if _, err := a.Compact(t.Context(), 4, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	w := a.wire(t)
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 3, WatchId: 3})
	w.want("3: created", "3: canceled compacted 4")
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 4, WatchId: 4, PrevKv: true})
	w.want("4: created", "4: -a@4 +a@5")
}

// TestWatchProgress asks for progress: never before an event, never for a watch that has not begun.
func TestWatchProgress(t *testing.T) {
	a := newAPI(t)
	a.put(t, "a", "1")
	w := a.wire(t)
	w.progress()
	w.silent()
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2})
	w.progress()
	w.want("0: created", "0: +a@2", "-1: progress 2")
	for i := range 50 {
		go func() { _, _ = a.Put(context.Background(), fmt.Sprintf("other%d", i), "1") }()
	}
	rev := a.put(t, "a", "2")
	w.progress()
	w.want(fmt.Sprintf("0: +a@%d", rev))
	if have := w.next(); !strings.HasPrefix(have, "-1: progress ") {
		t.Errorf("%s, want progress", have)
	}
	w.create(&pb.WatchCreateRequest{Key: []byte("b"), StartRevision: 1000})
	w.want("1: created")
	w.progress()
	w.silent()
	for a.store.Revision() < 999 {
		a.put(t, "b", "early")
	}
	a.put(t, "b", "now")
	w.want("1: +b@1000")
}

// TestWatchFilters leaves kinds of events out, and has previous states.
func TestWatchFilters(t *testing.T) {
	a := newAPI(t)
	w := a.wire(t)
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}, PrevKv: true})
	w.want("0: created")
	w.create(&pb.WatchCreateRequest{Key: []byte("a"), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NODELETE}})
	w.want("1: created")
	a.put(t, "a", "1")
	w.want("1: +a@2")
	if _, err := a.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	r := <-w.got
	if short(r) != "0: -a@3" || string(r.Events[0].PrevKv.Value) != "1" {
		t.Errorf("%v", r)
	}
	w.silent()
}

// TestWatchFragments has one revision of many large values: it comes whole, or in marked parts.
func TestWatchFragments(t *testing.T) {
	a := newAPI(t)
	whole, parts := a.wire(t), a.wire(t)
	whole.create(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l")})
	parts.create(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), Fragment: true})
	whole.want("0: created")
	parts.want("0: created")
	lease, err := a.Grant(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		a.put(t, fmt.Sprintf("k%d", i), strings.Repeat("x", 1<<20), clientv3.WithLease(lease.ID))
		whole.want(fmt.Sprintf("0: +k%d@%d", i, i+2))
		parts.want(fmt.Sprintf("0: +k%d@%d", i, i+2))
	}
	late, lateParts := a.wire(t), a.wire(t)
	late.create(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), StartRevision: 2, PrevKv: true})
	lateParts.create(&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), StartRevision: 6, PrevKv: true, Fragment: true})
	late.want("0: created", "0: +k0@2", "0: +k1@3", "0: +k2@4", "0: +k3@5") // large, so one by one
	lateParts.want("0: created")
	if _, err := a.Revoke(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	whole.want("0: -k0@6 -k1@6 -k2@6 -k3@6")
	late.want("0: -k0@6 -k1@6 -k2@6 -k3@6")
	for i := range 3 {
		lateParts.want(fmt.Sprintf("0: -k%d@6 more", i))
	}
	lateParts.want("0: -k3@6")
}

// TestWatchDeaf has a client that asks for ever and does not listen: it is not listened to, either.
func TestWatchDeaf(t *testing.T) {
	a := newAPI(t)
	deaf, err := a.watch.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte(strings.Repeat("k", 64<<10)), WatchId: 1}}
	var sent atomic.Int64
	go func() {
		for deaf.Send(&pb.WatchRequest{RequestUnion: create}) == nil {
			sent.Add(1)
		}
	}()
	for before := int64(-1); sent.Load() != before; time.Sleep(200 * time.Millisecond) {
		before = sent.Load()
		if before > 1_000_000 {
			t.Fatal("the server takes everything")
		}
	}
	for range 10_000 { // all answers come once it listens
		r, err := deaf.Recv()
		if err != nil || !r.Created {
			t.Fatalf("%v, %v", r, err)
		}
	}
}

// TestWatchSlow has a client that reads nothing while another gets everything.
func TestWatchSlow(t *testing.T) {
	a := newAPI(t)
	slow, err := a.watch.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a")}}
	if err := slow.Send(&pb.WatchRequest{RequestUnion: create}); err != nil {
		t.Fatal(err)
	}
	quick := a.wire(t)
	quick.create(&pb.WatchCreateRequest{Key: []byte("a")})
	quick.want("0: created")
	const n = 100
	value := strings.Repeat("x", 100<<10)
	for i := range n {
		a.put(t, "a", value)
		quick.want(fmt.Sprintf("0: +a@%d", i+2))
	}
	for seen := 0; seen < n; {
		r, err := slow.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range r.Events {
			if seen++; ev.Kv.ModRevision != int64(seen+1) {
				t.Fatalf("revision %d, want %d", ev.Kv.ModRevision, seen+1)
			}
		}
	}
}

// watchAll asks for a key that nobody writes.
func watchAll() *pb.WatchCreateRequest { return &pb.WatchCreateRequest{Key: []byte("nobody")} }
