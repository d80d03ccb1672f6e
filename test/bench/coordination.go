// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// propagationLimit is how long a fleet may take to pass on what is written.
const propagationLimit = 2 * time.Minute

// coordination measures a hub and its heavens: real processes, which speak
// mutual TLS to each other and sync their disks.
func (b *bench) coordination(ctx context.Context, _ int) error {
	for _, n := range fleets {
		prefix := fmt.Sprintf("coordination.%d.", n.heavens)
		if err := b.propagation(ctx, prefix, n.heavens, n.rate); err != nil {
			if ctx.Err() != nil {
				return err
			}
			b.fail(prefix, gitcd, err)
		}
	}
	if err := b.pushes(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		b.fail("coordination.pushes.", gitcd, err)
	}
	return nil
}

// propagation writes in the first heaven, and waits for the events in the last.
func (b *bench) propagation(ctx context.Context, prefix string, heavens, rate int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, propagationLimit+time.Duration(b.scale.propagated/rate)*time.Second)
	defer cancel()
	f, err := newFleet(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	for i := range heavens {
		name := "heavens/apiserver"
		if i > 0 {
			name = fmt.Sprintf("heavens/h%d", i)
		}
		if err := f.join(ctx, name); err != nil {
			return err
		}
		if i == 0 {
			if _, err := f.heavens[0].client(0).Put(ctx, "/registry/bench/first", "1"); err != nil {
				return fmt.Errorf("write the first key: %w", err)
			}
		}
	}
	for _, s := range f.heavens {
		if err := s.sees(ctx, "/registry/bench/first"); err != nil {
			return err
		}
	}
	before, err := f.cpu()
	if err != nil {
		return err
	}
	stop := b.profiling(ctx, f.heavens[len(f.heavens)-1], prefix, time.Duration(b.scale.propagated/rate)*time.Second)
	took, err := f.follow(ctx, b.scale.propagated, rate)
	stop()
	if err != nil {
		return err
	}
	last := f.heavens[len(f.heavens)-2:]
	for _, s := range last {
		if err := s.sees(ctx, propagatedKey(b.scale.propagated-1)); err != nil {
			return err
		}
	}
	after, err := f.cpu()
	if err != nil {
		return err
	}
	slices.Sort(took)
	b.table.add(prefix+"p50", gitcd, quantile(took, 0.5))
	b.table.add(prefix+"p99", gitcd, quantile(took, 0.99))
	b.table.add(prefix+"cpu", gitcd, (after-before)/float64(len(took))*1000)
	b.say("coordination %3d heavens, %d writes/s: p50 %.1f ms, p99 %.1f ms, %.1f ms of CPU a write", heavens, rate, quantile(took, 0.5), quantile(took, 0.99), (after-before)/float64(len(took))*1000)
	return nil
}

func propagatedKey(i int) string { return fmt.Sprintf("/registry/pods/default/pod-%06d", i) }

// sees waits until a heaven has a key.
func (s *server) sees(ctx context.Context, key string) error {
	for {
		r, err := s.client(0).Get(ctx, key)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", key, err)
		}
		if len(r.Kvs) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", key, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// follow writes at a rate, and returns how long each write took from its call to its event.
func (f *fleet) follow(ctx context.Context, writes, rate int) ([]time.Duration, error) {
	from, to := f.heavens[0].client(0), f.heavens[len(f.heavens)-1].client(0)
	events := to.Watch(clientv3.WithRequireLeader(ctx), "/registry/pods/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if r := <-events; r.Err() != nil {
		return nil, fmt.Errorf("watch: %w", r.Err())
	}
	seen := make(chan map[string]time.Time, 1)
	go func() {
		at := map[string]time.Time{}
		for r := range events {
			now := time.Now()
			for _, e := range r.Events {
				if _, twice := at[string(e.Kv.Key)]; !twice {
					at[string(e.Kv.Key)] = now
				}
			}
			if len(at) == writes {
				break
			}
		}
		seen <- at
	}()
	vals := newValues(1, false)
	began := make([]time.Time, writes)
	start := time.Now()
	for i := range began {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		began[i] = time.Now()
		if _, err := from.Put(ctx, propagatedKey(i), vals.next()); err != nil {
			return nil, fmt.Errorf("write: %w", err)
		}
	}
	at := <-seen
	took := make([]time.Duration, 0, writes)
	for i, b := range began {
		t, ok := at[propagatedKey(i)]
		if !ok {
			return nil, fmt.Errorf("write %d of %d has not come to the other heaven: %w", i+1, writes, context.Cause(ctx))
		}
		took = append(took, t.Sub(b))
	}
	return took, nil
}
