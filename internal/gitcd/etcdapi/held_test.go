// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	"net"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// TestHeldKeysAreNotWritten: whatever the shape of the request; reads and other keys go on.
func TestHeldKeysAreNotWritten(t *testing.T) {
	store, err := mvcc.Open(t.Context(), &mvcc.MemLog{}, mvcc.Options{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	on := false
	s := etcdapi.NewServer(store, etcdapi.Options{Held: func(key, end string) bool { return on && (key == "/a/x" || end != "") }})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + listener.Addr().String()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })

	put, remove, read := clientv3.OpPut("/a/x", "2"), clientv3.OpDelete("/a/x"), clientv3.OpGet("/a/x")
	if _, err := c.Put(t.Context(), "/a/x", "1"); err != nil {
		t.Fatal(err)
	}
	on = true
	refused := map[string]func() error{
		"put":    func() error { _, err := c.Do(t.Context(), put); return err },
		"delete": func() error { _, err := c.Do(t.Context(), remove); return err },
		"range":  func() error { _, err := c.Delete(t.Context(), "/", clientv3.WithPrefix()); return err },
		"then":   func() error { _, err := c.Txn(t.Context()).Then(put).Commit(); return err },
		"else":   func() error { _, err := c.Txn(t.Context()).Else(remove).Commit(); return err },
		"txn in a txn": func() error {
			_, err := c.Txn(t.Context()).Then(clientv3.OpTxn(nil, []clientv3.Op{put}, nil)).Commit()
			return err
		},
	}
	for what, ask := range refused {
		if err := ask(); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s of a held key: %v", what, err)
		}
	}
	r, err := c.Txn(t.Context()).Then(read, clientv3.OpPut("/b/x", "1")).Commit()
	if err != nil {
		t.Fatalf("a read of a held key and a write of another: %v", err)
	}
	if kvs := r.Responses[0].GetResponseRange().Kvs; len(kvs) != 1 || string(kvs[0].Value) != "1" {
		t.Errorf("a held key reads as %v", kvs)
	}
	on = false
	if _, err := c.Do(t.Context(), put); err != nil {
		t.Errorf("a put after the hold: %v", err)
	}
}
