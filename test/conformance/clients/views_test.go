// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/ordering"
)

// TestLeasing: a cache that owns keys never shows what another has overwritten.
func TestLeasing(t *testing.T) {
	t.Parallel()
	s := start(t)
	one, closeOne, err := leasing.NewKV(s.connect(t), "/leases/")
	must(t, err)
	defer closeOne()
	two, closeTwo, err := leasing.NewKV(s.connect(t), "/leases/")
	must(t, err)
	defer closeTwo()
	for n := range 20 {
		want := fmt.Sprint("v", n)
		writer, other := one, two
		if n%2 == 1 {
			writer, other = two, one
		}
		put(t, writer, "/cached", want)
		if got := value(t, writer, "/cached"); got != want {
			t.Fatalf("who wrote %s reads %s", want, got)
		}
		if got := value(t, other, "/cached"); got != want {
			t.Fatalf("the other reads %s after %s was written", got, want)
		}
	}
	r, err := one.Txn(t.Context()).If(clientv3.Compare(clientv3.Value("/cached"), "=", "v19")).
		Then(clientv3.OpDelete("/cached"), clientv3.OpPut("/other", "x")).Else(clientv3.OpGet("/cached")).Commit()
	must(t, err)
	if !r.Succeeded || value(t, two, "/cached") != "" || value(t, two, "/other") != "x" {
		t.Fatal("a transaction through the cache did not reach the other")
	}
}

// TestMirror: a base and its updates come to the same keys.
func TestMirror(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.connect(t)
	want := map[string]string{}
	for n := range 2500 { // more than a page
		key := fmt.Sprintf("/src/%04d", n)
		put(t, c, key, "base")
		want[key] = "base"
	}
	put(t, c, "/elsewhere", "x")

	syncer := mirror.NewSyncer(s.connect(t), "/src/", 0)
	have := map[string]string{}
	pages, errs := syncer.SyncBase(t.Context())
	for page := range pages {
		for _, kv := range page.Kvs {
			have[string(kv.Key)] = string(kv.Value)
		}
	}
	for err := range errs {
		must(t, err)
	}
	for n := range 50 {
		key := fmt.Sprintf("/src/%04d", n*7)
		if n%3 == 0 {
			_, err := c.Delete(t.Context(), key)
			must(t, err)
			delete(want, key)
			continue
		}
		put(t, c, key, "changed")
		want[key] = "changed"
	}
	last := put(t, c, "/src/last", "x").Header.Revision
	want["/src/last"] = "x"

	updates := syncer.SyncUpdates(t.Context())
	for seen := int64(0); seen < last; {
		r := within(t, "updates", updates)
		must(t, r.Err())
		for _, e := range r.Events {
			seen = e.Kv.ModRevision
			if e.Type == mvccpb.Event_DELETE {
				delete(have, string(e.Kv.Key))
			} else {
				have[string(e.Kv.Key)] = string(e.Kv.Value)
			}
		}
	}
	if !maps.Equal(want, have) {
		t.Fatalf("the mirror has %d keys, the source %d, and they differ", len(have), len(want))
	}
}

// TestNamespace: two who share a server and not a prefix do not meet.
func TestNamespace(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.connect(t)
	kv, watcher, lease := namespace.NewKV(c, "/mine/"), namespace.NewWatcher(s.connect(t), "/mine/"), namespace.NewLease(c, "/mine/")
	watch := watcher.Watch(t.Context(), "", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	within(t, "the watch", watch)
	put(t, c, "/theirs/a", "1")
	put(t, kv, "a", "2")
	if got := value(t, c, "/mine/a"); got != "2" {
		t.Fatalf("/mine/a is %q", got)
	}
	e := within(t, "the event", watch).Events[0]
	if string(e.Kv.Key) != "a" || string(e.Kv.Value) != "2" {
		t.Fatalf("the watch shows %s = %s", e.Kv.Key, e.Kv.Value)
	}
	all, err := kv.Get(t.Context(), "\x00", clientv3.WithFromKey())
	must(t, err)
	if all.Count != 1 {
		t.Fatalf("%d keys are mine, not one", all.Count)
	}
	g, err := lease.Grant(t.Context(), 60)
	must(t, err)
	_, err = kv.Put(t.Context(), "leased", "x", clientv3.WithLease(g.ID))
	must(t, err)
	ttl, err := lease.TimeToLive(t.Context(), g.ID, clientv3.WithAttachedKeys())
	must(t, err)
	if len(ttl.Keys) != 1 || string(ttl.Keys[0]) != "leased" {
		t.Fatalf("the lease has keys %q", ttl.Keys)
	}
}

// TestOrdering: a client never sees a revision older than it has seen, not even when its server is killed between.
func TestOrdering(t *testing.T) {
	t.Parallel()
	s := start(t)
	var violations atomic.Int32
	c := s.connect(t)
	kv := ordering.NewKV(c, func(clientv3.Op, clientv3.OpResponse, int64) error {
		violations.Add(1)
		return nil
	})
	for n := range 30 {
		r := put(t, c, "/ordered", fmt.Sprint(n))
		if n%10 == 9 {
			s.kill(t)
			s.run(t)
		}
		got, err := kv.Get(t.Context(), "/ordered", clientv3.WithSerializable())
		must(t, err)
		if got.Header.Revision < r.Header.Revision {
			t.Fatalf("revision %d is read after %d was written", got.Header.Revision, r.Header.Revision)
		}
	}
	if n := violations.Load(); n != 0 {
		t.Fatalf("the order was violated %d times", n)
	}
}

// TestNaming: who watches a service's endpoints sees them come and go.
func TestNaming(t *testing.T) {
	t.Parallel()
	s := start(t)
	m, err := endpoints.NewManager(s.connect(t), "service")
	must(t, err)
	watch, err := m.NewWatchChannel(t.Context())
	must(t, err)
	must(t, m.AddEndpoint(t.Context(), "service/a", endpoints.Endpoint{Addr: "10.0.0.1:1"}))
	if u := within(t, "an endpoint", watch); len(u) != 1 || u[0].Op != endpoints.Add || u[0].Endpoint.Addr != "10.0.0.1:1" {
		t.Fatalf("the watch shows %+v", u)
	}
	must(t, m.DeleteEndpoint(t.Context(), "service/a"))
	if u := within(t, "its end", watch); len(u) != 1 || u[0].Op != endpoints.Delete {
		t.Fatalf("the watch shows %+v", u)
	}
	have, err := m.List(t.Context())
	must(t, err)
	if len(have) != 0 {
		t.Fatalf("%d endpoints are left", len(have))
	}
}
