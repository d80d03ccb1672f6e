// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"
)

// stopGrace is how long calls may go on after a stop. Streams, which never end by themselves, are ended at once.
const stopGrace = 2 * time.Second

// innerBytes is the buffer of the connection in memory, which the gateway and the lock and election services use.
const innerBytes = 64 << 10

// Traffic says what an endpoint serves.
type Traffic uint8

// The kinds of traffic.
const (
	// AllTraffic is gRPC and HTTP on one port, told apart by their first bytes.
	AllTraffic Traffic = iota
	// OnlyGRPC is for clients alone.
	OnlyGRPC
	// OnlyHTTP is the gateway, health and metrics.
	OnlyHTTP
	// OnlyProbes is health and metrics, for those who have no business with keys.
	OnlyProbes
)

// Endpoint is a listener, and what is served there.
type Endpoint struct {
	Listener net.Listener
	// TLS is what connections are secured with. Nil: the listener has done that, or nobody does.
	TLS *tls.Config
	// Plain accepts, beside TLS, connections without.
	Plain   bool
	Traffic Traffic
}

// FrontOptions configures NewFront. The zero value is good.
type FrontOptions struct {
	// Log is told of connections that are turned away. Default: nobody is.
	Log *slog.Logger
	// Refuse says that nothing may be answered for now. Default: never.
	Refuse func() bool
	// Collectors are served at /metrics beside the store's.
	Collectors []prometheus.Collector
	// MaxStreams is how many calls a connection may have at once. Default: any number.
	MaxStreams uint32
	// Extensive adds histograms of how long calls take to /metrics.
	Extensive bool
	// Slow is from when on a call is warned of. Default: none is.
	Slow time.Duration
	// Profiling serves /debug/pprof/.
	Profiling bool
	// NoGateway leaves out the JSON API below /v3/.
	NoGateway bool
	// Hosts are the names that HTTP requests without TLS may be for, so that a web page cannot reach in by a name of
	// its own that leads here. Default: any.
	Hosts []string
	// AnyOrigin lets web pages in.
	AnyOrigin bool
}

// Front serves a store's API: gRPC and, on the same ports, the HTTP that etcd
// serves. A connection is looked at once, when it is new; from then on gRPC has
// it alone and pays nothing for its neighbour.
//
//	connection ─► TLS? ─► first bytes ─┬─► gRPC ◄──────────── in memory ─┐
//	                                   └─► HTTP: /health /metrics /v3/* ─┘
type Front struct {
	*Server
	o     FrontOptions
	grpc  *grpc.Server
	inner *bufconn.Listener
	sides [OnlyProbes + 1]*handover // traffic -> where its connections go
	http  []*http.Server
	calls *calls
	bytes traffic

	health   healthCounts
	registry *prometheus.Registry

	stopped  atomic.Bool
	cut      atomic.Bool // nothing is acknowledged any more
	stopping chan struct{}
	client   innerClient
}

// NewFront returns what serves s.
func NewFront(s *Server, o FrontOptions) (*Front, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Front{Server: s, o: o, inner: bufconn.Listen(innerBytes), calls: newCalls(o.Extensive), stopping: make(chan struct{})}
	for i := range f.sides {
		f.sides[i] = newHandover()
	}
	f.grpc = grpc.NewServer(append(s.serverOptions(o.MaxStreams), grpc.UnaryInterceptor(f.unary), grpc.StreamInterceptor(f.stream))...)
	s.Register(f.grpc)
	healthpb.RegisterHealthServer(f.grpc, &healthServer{Front: f})
	if err := f.registerRecipes(); err != nil {
		return nil, fmt.Errorf("serve locks and elections: %w", err)
	}
	f.calls.know(f.grpc)
	f.registry = prometheus.NewRegistry()
	f.registry.MustRegister(f.collectors()...)
	handler, err := f.handler()
	if err != nil {
		return nil, fmt.Errorf("serve HTTP: %w", err)
	}
	f.http = []*http.Server{f.httpServer(handler), f.httpServer(f.probes())}
	return f, nil
}

// Handler is the HTTP side of the front, for who has a server already.
func (f *Front) Handler() http.Handler { return f.http[0].Handler }

// Run serves until the context ends or a listener fails. The listeners are closed when it returns.
func (f *Front) Run(ctx context.Context, endpoints []Endpoint) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range endpoints {
		group.Go(func() error { return f.accept(e) })
	}
	for _, serve := range []func() error{
		func() error { return f.grpc.Serve(f.inner) },
		func() error { return f.grpc.Serve(f.sides[OnlyGRPC]) },
		func() error { return f.http[0].Serve(f.sides[OnlyHTTP]) },
		func() error { return f.http[1].Serve(f.sides[OnlyProbes]) },
	} {
		group.Go(func() error { return over(serve()) })
	}
	group.Go(func() error {
		<-ctx.Done()
		for _, e := range endpoints {
			_ = e.Listener.Close() // it is not listened to any more, whatever it says
		}
		f.stop(context.WithoutCancel(ctx))
		return nil
	})
	return group.Wait()
}

// over is nil for the errors that say that serving ended as it should.
func over(err error) error {
	if errors.Is(err, grpc.ErrServerStopped) || errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stop ends streams at once, and lets calls end, but not for long.
func (f *Front) stop(ctx context.Context) {
	if f.stopped.CompareAndSwap(false, true) {
		close(f.stopping)
	}
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	for _, s := range f.http {
		if s.Shutdown(ctx) != nil {
			_ = s.Close() // nothing is left to be said to those who did not end
		}
	}
	graceful := make(chan struct{})
	go func() { f.grpc.GracefulStop(); close(graceful) }()
	select {
	case <-graceful:
	case <-ctx.Done():
		f.grpc.Stop()
	}
	f.client.close()
}

// StopNow ends all calls at once. Nothing is answered after it returns.
func (f *Front) StopNow() {
	f.cut.Store(true)
	if f.stopped.CompareAndSwap(false, true) {
		close(f.stopping)
	}
	for _, s := range f.http {
		_ = s.Close() // the same
	}
	f.grpc.Stop()
}

func (f *Front) httpServer(h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // what was encrypted is not any more when it comes here
	s := &http.Server{Handler: h, ReadHeaderTimeout: helloTimeout, Protocols: &protocols, ConnContext: noteSafe, ErrorLog: slog.NewLogLogger(f.o.Log.Handler(), slog.LevelDebug)}
	if f.o.MaxStreams > 0 {
		s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: int(min(f.o.MaxStreams, 1<<31-1))}
	}
	return s
}

// handover is a listener whose connections are handed to it.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	ended atomic.Bool
}

func newHandover() *handover { return &handover{conns: make(chan net.Conn), done: make(chan struct{})} }

// give passes a connection on.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close() // nobody serves it any more
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	if h.ended.CompareAndSwap(false, true) {
		close(h.done)
	}
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.UnixAddr{Name: "handover", Net: "unix"} }
