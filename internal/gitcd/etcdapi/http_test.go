// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// TestHTTP asks as probes and kubeadm do, before and after the disk fails.
func TestHTTP(t *testing.T) {
	log := &mvcc.MemLog{}
	store := openStore(t, log)
	front, err := etcdapi.NewFront(etcdapi.NewServer(store, etcdapi.Options{}), etcdapi.FrontOptions{})
	if err != nil {
		t.Fatal(err)
	}
	handler := front.Handler()
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	want := func(path string, code int, part string) {
		t.Helper()
		if have, body := ask(path); have != code || !strings.Contains(body, part) {
			t.Errorf("%s: %d %s, want %d %s", path, have, body, code, part)
		}
	}
	want("/health", http.StatusOK, `{"health":"true","reason":""}`)
	want("/version", http.StatusOK, `"etcdserver":"`+etcdapi.Version+`"`)
	want("/metrics", http.StatusOK, "etcd_server_has_leader 1")
	want("/nothing", http.StatusNotFound, "")
	log.Fail(errors.New("input/output error"))
	if _, err := store.Txn(t.Context(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "a"}}}}); err == nil {
		t.Fatal("a broken disk took a put")
	}
	want("/readyz", http.StatusServiceUnavailable, "input/output error")
	want("/metrics", http.StatusOK, "etcd_server_has_leader 0")
}

// TestE3OwnRevision reads, writes and fails on one connection while others write: no header goes back.
func TestE3OwnRevision(t *testing.T) {
	a := newAPI(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 4 {
		go func() {
			for ctx.Err() == nil {
				_, _ = a.Put(ctx, fmt.Sprint("other", i), "1")
			}
		}()
	}
	last := int64(1)
	see := func(what string, rev int64) {
		t.Helper()
		if rev < last {
			t.Fatalf("%s says revision %d after %d", what, rev, last)
		}
		last = rev
	}
	w := a.wire(t)
	for range 200 {
		see("put", a.put(t, "mine", "1"))
		get, err := a.Get(ctx, "mine")
		if err != nil {
			t.Fatal(err)
		}
		see("get", get.Header.Revision)
		txn, err := a.Txn(ctx).If(clientv3.Compare(clientv3.Version("mine"), "=", 0)).Then(clientv3.OpPut("mine", "2")).Commit()
		if err != nil {
			t.Fatal(err)
		}
		see("failed txn", txn.Header.Revision)
		w.create(watchAll())
		see("watch", (<-w.got).Header.Revision)
		lease, err := a.Grant(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		see("grant", lease.Revision)
	}
}

// TestE5HonestRefusal has every refusal say Unimplemented, and what to do instead.
func TestE5HonestRefusal(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	_, add := a.MemberAdd(ctx, []string{"http://x:1"})
	_, user := a.UserAdd(ctx, "x", "y")
	for what, err := range map[string]error{"member add": add, "user add": user} {
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "gitcd") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
