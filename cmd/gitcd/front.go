// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
)

type frontOptions struct {
	log   *slog.Logger
	epoch int64
	// size returns how many bytes the store takes on disk. Nil: it takes none.
	size func() int64
	// withheld says that nothing may be answered for now. Nil: never.
	withheld func() bool
	// held says that keys may not be written for now. Nil: never.
	held func(key, end string) bool
	// member is how the etcd calls itself.
	member gitcdv1.Member
	// repack makes the repository smaller. Nil: there is none.
	repack func(context.Context) error
	// spool is where snapshots are prepared. Nil: there are none.
	spool *snapshot.Spool
	// quota is how many bytes the store may hold; 0 is any number.
	quota int64
	// collectors are served at /metrics beside the store's.
	collectors []prometheus.Collector
}

// localNames are the names by which web pages cannot reach us unless we want it.
var localNames = []string{"localhost"}

// front serves a store's etcd API on its listeners.
type front struct {
	*etcdapi.Front
	endpoints []etcdapi.Endpoint
}

func newFront(ctx context.Context, store *mvcc.Store, ls []gitcdv1.Listener, o frontOptions) (*front, error) {
	urls := make([]string, 0, len(ls))
	for _, c := range ls {
		urls = append(urls, c.URL)
	}
	server := etcdapi.NewServer(store, etcdapi.Options{
		Name: o.member.Name, ClusterID: gitcdv1.ID(o.member.ClusterID), MemberID: gitcdv1.ID(o.member.MemberID),
		ClientURLs: urls, Epoch: o.epoch, DBSize: o.size, Held: o.held, Upkeep: etcdapi.Upkeep{Repack: o.repack, Spool: o.spool, InUse: store.HeldBytes, Quota: o.quota},
	})
	inner, err := etcdapi.NewFront(server, etcdapi.FrontOptions{Log: o.log, Refuse: o.withheld, Collectors: o.collectors, Hosts: localNames})
	if err != nil {
		return nil, err
	}
	f := &front{Front: inner}
	for _, c := range ls {
		l, err := listen(ctx, c)
		if err != nil {
			return nil, errors.Join(err, f.closeListeners())
		}
		f.endpoints = append(f.endpoints, etcdapi.Endpoint{Listener: l})
	}
	return f, nil
}

func (f *front) closeListeners() error {
	var errs []error
	for _, e := range f.endpoints {
		errs = append(errs, e.Listener.Close())
	}
	return errors.Join(errs...)
}

// run serves until the context ends or a listener fails.
func (f *front) run(ctx context.Context) error { return f.Run(ctx, f.endpoints) }

// stopNow ends all calls at once. Nothing is answered after it returns.
func (f *front) stopNow() { f.StopNow() }

// startServers opens all listeners, then serves them in the group.
func (h *heaven) startServers(ctx context.Context, group *errgroup.Group) error {
	spool, err := openSpool(h.config)
	if err != nil {
		return err
	}
	main, err := newFront(ctx, h.branch.Store, h.config.Listeners, frontOptions{
		log: h.log, member: h.config.Member, epoch: h.epoch, size: h.size, withheld: h.withheld(), repack: h.branch.Repack,
		spool: spool, quota: h.config.Limits.QuotaBytes, held: h.held(ctx, group),
	})
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
		events, err := newFront(ctx, store, h.config.Events.Listeners, frontOptions{log: h.log, member: h.config.Member, epoch: h.epoch})
		if err != nil {
			return errors.Join(err, store.Close(context.WithoutCancel(ctx)))
		}
		h.fronts = append(h.fronts, events)
		group.Go(func() error {
			return errors.Join(events.run(ctx), store.Close(context.WithoutCancel(ctx)))
		})
	}
	return nil
}

// held says what may not be written while the upstream is out of touch.
func (h *heaven) held(ctx context.Context, group *errgroup.Group) func(key, end string) bool {
	if len(h.config.Holds) == 0 || h.exchange == nil {
		return nil
	}
	holds := newHolds(h.config.Holds, clock.RealClock{}, h.log)
	group.Go(func() error {
		return holds.watch(ctx, func() bool {
			s := h.exchange.Status()
			return s.Connected && !s.Behind // news that cannot be fetched are none
		})
	})
	return holds.held
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
