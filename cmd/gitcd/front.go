// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// stopGrace is how long calls may go on after a stop; watches never end by themselves.
const stopGrace = 2 * time.Second

// errNoLeader is what etcd answers when it cannot serve; clients try again.
var errNoLeader = status.Error(codes.Unavailable, "etcdserver: no leader")

type frontOptions struct {
	log   *slog.Logger
	epoch int64
	// size returns how many bytes the store takes on disk. Nil: it takes none.
	size func() int64
	// withheld says that nothing may be answered for now. Nil: never.
	withheld func() bool
}

// front serves a store's etcd API on its listeners.
type front struct {
	server    *grpc.Server
	listeners []net.Listener
	stopped   atomic.Bool
	o         frontOptions
}

func newFront(ctx context.Context, store *mvcc.Store, ls []gitcdv1.Listener, o frontOptions) (*front, error) {
	f := &front{o: o}
	f.server = grpc.NewServer(append(etcdapi.ServerOptions(), grpc.UnaryInterceptor(f.unary), grpc.StreamInterceptor(f.stream))...)
	urls := make([]string, 0, len(ls))
	for _, c := range ls {
		urls = append(urls, c.URL)
	}
	etcdapi.NewServer(store, etcdapi.Options{ClientURLs: urls, Epoch: o.epoch, DBSize: o.size}).Register(f.server)
	for _, c := range ls {
		l, err := listen(ctx, c)
		if err != nil {
			return nil, errors.Join(err, f.closeListeners())
		}
		f.listeners = append(f.listeners, l)
	}
	return f, nil
}

func (f *front) closeListeners() error {
	var errs []error
	for _, l := range f.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (f *front) refuse() bool {
	return f.stopped.Load() || f.o.withheld != nil && f.o.withheld()
}

// unary refuses calls before and after, so that nothing is acknowledged that a
// lost branch would not keep.
func (f *front) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if f.refuse() {
		return nil, errNoLeader
	}
	resp, err := next(ctx, req)
	if f.stopped.Load() {
		return nil, errNoLeader
	}
	return resp, err
}

func (f *front) stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if f.refuse() {
		return errNoLeader
	}
	return next(srv, stream)
}

// stopNow ends all calls at once. Nothing is answered after it returns.
func (f *front) stopNow() {
	f.stopped.Store(true)
	f.server.Stop()
}

// run serves until the context ends or a listener fails.
func (f *front) run(ctx context.Context) error {
	var serving errgroup.Group
	for _, l := range f.listeners {
		serving.Go(func() error {
			if err := f.server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				f.server.Stop()
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- serving.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	f.stop()
	return <-ended
}

// stop lets calls end, but not for long: watches never end by themselves.
func (f *front) stop() {
	graceful := make(chan struct{})
	go func() { f.server.GracefulStop(); close(graceful) }()
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-graceful:
	case <-timer.C:
		f.server.Stop()
	}
}

// startServers opens all listeners, then serves them in the group.
func (h *heaven) startServers(ctx context.Context, group *errgroup.Group) error {
	main, err := newFront(ctx, h.branch.Store, h.config.Listeners, frontOptions{log: h.log, epoch: h.epoch, size: h.size, withheld: h.withheld()})
	if err != nil {
		return err
	}
	h.fronts = append(h.fronts, main)
	group.Go(func() error { return main.run(ctx) })
	if h.config.Events != nil {
		store, err := mvcc.Open(ctx, nil, mvcc.Options{})
		if err != nil {
			return err
		}
		events, err := newFront(ctx, store, h.config.Events.Listeners, frontOptions{log: h.log, epoch: h.epoch})
		if err != nil {
			return errors.Join(err, store.Close(context.WithoutCancel(ctx)))
		}
		h.fronts = append(h.fronts, events)
		group.Go(func() error {
			return errors.Join(events.run(ctx), store.Close(context.WithoutCancel(ctx)))
		})
	}
	if h.config.StatusListen != "" {
		l, err := listenTCP(ctx, h.config.StatusListen)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveHTTP(ctx, l, h.statusHandler(), time.Second) })
	}
	return nil
}

// withheld says, in mode Strict, that the upstream was out of reach for longer
// than the lease: another writer may have the branch by now.
func (h *heaven) withheld() func() bool {
	if h.config.Mode != gitcdv1.ModeStrict || h.exchange == nil {
		return nil
	}
	lease := h.config.LeaseDuration.Duration
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	return func() bool {
		now := time.Now().UnixNano()
		if h.exchange.Status().Connected {
			last.Store(now)
			return false
		}
		return now-last.Load() > int64(lease)
	}
}
