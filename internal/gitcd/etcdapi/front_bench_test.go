// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// BenchmarkOnePort reads one key: from a gRPC server that has its port alone;
// from the front, which shares it with HTTP; and from gRPC's handler in an HTTP
// server, the usual way to share a port.
func BenchmarkOnePort(b *testing.B) {
	store, err := mvcc.Open(b.Context(), nil, mvcc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close(context.Background()) }()
	if _, err := store.Txn(b.Context(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "a", Value: make([]byte, 1024)}}}}); err != nil {
		b.Fatal(err)
	}
	api := etcdapi.NewServer(store, etcdapi.Options{})
	bare := func() *grpc.Server {
		g := grpc.NewServer(etcdapi.ServerOptions()...)
		api.Register(g)
		return g
	}
	for name, serve := range map[string]func(l net.Listener) error{
		"alone": func(l net.Listener) error { return bare().Serve(l) },
		"front": func(l net.Listener) error {
			f, err := etcdapi.NewFront(api, etcdapi.FrontOptions{})
			if err != nil {
				return err
			}
			return f.Run(b.Context(), []etcdapi.Endpoint{{Listener: l}})
		},
		"handler": func(l net.Listener) error {
			g := bare()
			var p http.Protocols
			p.SetHTTP1(true)
			p.SetUnencryptedHTTP2(true)
			s := &http.Server{Protocols: &p, ReadHeaderTimeout: 1e9, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
					g.ServeHTTP(w, r)
				}
			})}
			return s.Serve(l)
		},
	} {
		b.Run(name, func(b *testing.B) {
			l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go func() { _ = serve(l) }()
			c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			kv, r := pb.NewKVClient(c), &pb.RangeRequest{Key: []byte("a")}
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := kv.Range(b.Context(), r); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
