// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// watchConnections is how many connections the watchers share at most.
	watchConnections = 10
	// watchedKeys is how many objects are written while they are watched.
	watchedKeys = 50
	// eventPatience is how long the last event may take.
	eventPatience = 20 * time.Second
)

// watches measures the time from a put to its event at each watcher.
func (b *bench) watches(ctx context.Context, round int) (err error) {
	f, err := b.start(ctx, round, "watch.", b.peers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	held := map[*server]*objects{}
	for _, w := range watching {
		id := fmt.Sprintf("watch.%d.", w.watchers)
		if err := f.each(ctx, id, func(ctx context.Context, s *server) (err error) {
			if held[s] == nil {
				if held[s], err = b.objects(ctx, s, "pods", watchedKeys); err != nil {
					return err
				}
			}
			return b.watch(ctx, s, id, w.watchers, w.rate, held[s])
		}); err != nil {
			return err
		}
	}
	return nil
}

// audience is watchers of one directory, and what they have seen.
type audience struct {
	vals     *values
	events   atomic.Int64
	fault    atomic.Pointer[error]
	ready    sync.WaitGroup
	done     sync.WaitGroup
	mu       sync.Mutex
	times    []time.Duration
	recorded atomic.Bool
}

func (b *bench) watch(ctx context.Context, s *server, id string, watchers, rate int, held *objects) error {
	if err := s.dial(connections); err != nil {
		return err
	}
	before, err := s.settle(ctx)
	if err != nil {
		return err
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &audience{vals: newValues(uint64(watchers), false)}
	var clients []*clientv3.Client
	defer func() {
		for _, c := range clients {
			_ = c.Close()
		}
	}()
	for range min(watchers, watchConnections) {
		one := &server{name: s.name, endpoint: s.endpoint}
		if err := one.dial(1); err != nil {
			return err
		}
		clients = append(clients, one.clients[0])
	}
	seen := slices.Clone(held.revs)
	a.ready.Add(watchers)
	for w := range watchers {
		events := clients[w%len(clients)].Watch(watching, "/registry/pods/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
		a.done.Go(func() { a.follow(events, held.keys, slices.Clone(seen)) })
	}
	if err := a.wait(ctx, &a.ready); err != nil {
		return err
	}
	stop := b.profiling(ctx, s, id, b.scale.warm+b.scale.length)
	written, err := b.paced(ctx, s, a, held, rate)
	stop()
	if err != nil {
		return err
	}
	want := int64(written) * int64(watchers)
	for deadline := time.Now().Add(eventPatience); a.events.Load() < want && time.Now().Before(deadline) && a.fault.Load() == nil; {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	a.done.Wait()
	if e := a.fault.Load(); e != nil {
		return *e
	}
	if n := a.events.Load(); n != want {
		return fmt.Errorf("%d writes and %d watchers make %d events, %d came", written, watchers, want, n)
	}
	after, err := s.settle(ctx)
	if err != nil {
		return err
	}
	slices.Sort(a.times)
	p50, p99, cpu := quantile(a.times, 0.5), quantile(a.times, 0.99), after.since(before).cpu*1e6/float64(want)
	b.table.add(id+"p50", s.name, p50)
	b.table.add(id+"p99", s.name, p99)
	b.table.add(id+"cpu", s.name, cpu)
	b.say("%-12s %-6s put to event p50 %7.2f ms  p99 %7.2f ms  %5.1f us CPU an event, %d events", id[:len(id)-1], s.name, p50, p99, cpu, want)
	return nil
}

// wait waits for all watchers to be there, but not for ever.
func (a *audience) wait(ctx context.Context, group *sync.WaitGroup) error {
	there := make(chan struct{})
	go func() { group.Wait(); close(there) }()
	select {
	case <-there:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(eventPatience):
		return fmt.Errorf("not all watches were created after %s", eventPatience)
	}
}

// paced writes at a rate. Writes of the warm-up are not timed, but must be seen too.
func (b *bench) paced(ctx context.Context, s *server, a *audience, held *objects, rate int) (written int, err error) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	began := time.Now()
	for time.Since(began) < b.scale.warm+b.scale.length {
		<-ticker.C
		a.recorded.Store(time.Since(began) >= b.scale.warm)
		if err := held.write(ctx, s.client(0), written%len(held.keys), a.vals.stamped(time.Now().UnixNano())); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

// follow checks each event of a watcher: revisions grow, each says what was
// there before, and that is what the event before it said.
func (a *audience) follow(events clientv3.WatchChan, keys []string, revs []int64) {
	place := make(map[string]int, len(keys))
	for i, k := range keys {
		place[k] = i
	}
	var times []time.Duration
	created, last := false, int64(0)
	for r := range events {
		now := time.Now()
		if r.Created && !created {
			created = true
			a.ready.Done()
		}
		if err := r.Err(); err != nil && !r.Canceled {
			a.fail(fmt.Errorf("a watch ended: %w", err))
		}
		for _, e := range r.Events {
			i, known := place[string(e.Kv.Key)]
			sent, err := a.vals.stamp(e.Kv.Value)
			switch {
			case err != nil:
				a.fail(err)
			case !known:
				a.fail(fmt.Errorf("an event of %s, which nobody wrote", e.Kv.Key))
			case e.Kv.ModRevision <= last:
				a.fail(fmt.Errorf("an event of revision %d came after one of %d", e.Kv.ModRevision, last))
			case e.PrevKv == nil:
				a.fail(fmt.Errorf("an event of %s came without what was there before", e.Kv.Key))
			case e.PrevKv.ModRevision != revs[i]:
				a.fail(fmt.Errorf("an event of %s says that revision %d was there before, but it was %d", e.Kv.Key, e.PrevKv.ModRevision, revs[i]))
			default:
				last, revs[i] = e.Kv.ModRevision, e.Kv.ModRevision
				if a.recorded.Load() {
					times = append(times, now.Sub(time.Unix(0, sent)))
				}
			}
			a.events.Add(1)
		}
	}
	if !created {
		a.ready.Done()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, times...)
}

func (a *audience) fail(err error) { a.fault.CompareAndSwap(nil, &err) }
