// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// connections is how many connections the clients of a load share.
const connections = 4

// updated is how many objects are updated: clients divide them among themselves.
const updated = 1000

// writes measures creates and guarded updates, and what they cost.
func (b *bench) writes(ctx context.Context, round int) (err error) {
	f, err := b.start(ctx, round, "create.", b.peers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	for _, c := range concurrency {
		if err := f.each(ctx, fmt.Sprintf("create.%d.", c.clients), func(ctx context.Context, s *server) error { return b.create(ctx, s, c.clients) }); err != nil {
			return err
		}
	}
	held := map[*server]*objects{}
	for _, c := range concurrency {
		if err := f.each(ctx, fmt.Sprintf("update.%d.", c.clients), func(ctx context.Context, s *server) error {
			if held[s] == nil {
				o, err := b.objects(ctx, s, "deployments", updated)
				if err != nil {
					return err
				}
				held[s] = o
			}
			return b.update(ctx, s, c.clients, held[s])
		}); err != nil {
			return err
		}
	}
	return nil
}

// put creates a key as kube-apiserver does: only if it is not there.
func put(ctx context.Context, c *clientv3.Client, key, value string) (int64, error) {
	r, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, value)).Commit()
	if err != nil {
		return 0, fmt.Errorf("create %s: %w", key, err)
	}
	if !r.Succeeded {
		return 0, fmt.Errorf("create %s: it is there already", key)
	}
	return r.Header.Revision, nil
}

// last is a client's last write.
type last struct{ key, value string }

func (b *bench) create(ctx context.Context, s *server, clients int) error {
	id := fmt.Sprintf("create.%d.", clients)
	if err := s.dial(connections); err != nil {
		return err
	}
	vals, lasts := make([]*values, clients), make([]last, clients)
	for c := range vals {
		vals[c] = newValues(uint64(c), b.random)
	}
	stop := b.profiling(ctx, s, id, b.scale.warm+b.scale.length)
	o, err := drive(ctx, s, load{clients: clients, warm: b.scale.warm, length: b.scale.length, call: func(ctx context.Context, c, n int) error {
		l := last{key("configmaps", c+n, fmt.Sprintf("%04d-%04d-%07d", clients, c, n)), vals[c].next()}
		if _, err := put(ctx, s.client(c), l.key, l.value); err != nil {
			return err
		}
		lasts[c] = l
		return nil
	}})
	stop()
	if err != nil {
		return err
	}
	s.written += int64(o.calls)
	if err := verifyCreated(ctx, s, lasts); err != nil {
		return err
	}
	if clients == 1 {
		if err := durable(s, o); err != nil {
			return err
		}
	}
	b.report(s, id, o)
	return nil
}

// durable fails a server that did not let the disk empty its cache for each
// write of a single client.
func durable(s *server, o outcome) error {
	if s.disk.stat == "" || s.cmd == nil {
		return nil
	}
	if o.used.flushes < int64(o.calls)*95/100 {
		return fmt.Errorf("%d creates one after the other, but the disk %s was flushed only %d times: they were not durable when they were acknowledged", o.calls, s.disk.name, o.used.flushes)
	}
	return nil
}

// report adds the rows that all loads of writes have.
func (b *bench) report(s *server, id string, o outcome) {
	t, calls := b.table, float64(o.calls)
	t.add(id+"rate", s.name, o.rate)
	t.add(id+"p50", s.name, quantile(o.times, 0.5))
	t.add(id+"p99", s.name, quantile(o.times, 0.99))
	t.add(id+"cpu", s.name, o.used.cpu*1e6/calls)
	t.add(id+"client", s.name, o.self*1e6/calls)
	t.add(id+"written", s.name, float64(o.used.written)/calls)
	t.add(id+"disk", s.name, float64(o.used.disk)/calls)
	if id == "create.1." && len(b.disk.Shapes[0].P50) > 0 {
		t.add(id+"syncs", s.name, quantile(o.times, 0.5)/b.disk.over4k())
	}
	b.say("%-12s %-6s %8.0f/s  p50 %7.2f ms  p99 %7.2f ms  %5.0f us CPU  %6.0f B disk", strings.TrimSuffix(id, "."), s.name, o.rate,
		quantile(o.times, 0.5), quantile(o.times, 0.99), o.used.cpu*1e6/calls, float64(o.used.disk)/calls)
}

// verifyCreated counts what is there, and reads the last write of each client.
func verifyCreated(ctx context.Context, s *server, lasts []last) error {
	r, err := s.client(0).Get(ctx, "/registry/configmaps/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("count what was created: %w", err)
	}
	if r.Count != s.written {
		return fmt.Errorf("%d creates were acknowledged, %d keys are there", s.written, r.Count)
	}
	for _, l := range lasts[:min(len(lasts), 100)] {
		if l.key == "" {
			continue
		}
		if err := verifyValue(ctx, s, l); err != nil {
			return err
		}
	}
	return nil
}

func verifyValue(ctx context.Context, s *server, l last) error {
	r, err := s.client(0).Get(ctx, l.key)
	if err != nil {
		return fmt.Errorf("read %s back: %w", l.key, err)
	}
	if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != l.value {
		return fmt.Errorf("%s was acknowledged, but is not there with its value", l.key)
	}
	return nil
}

// objects are keys with the revision and value that they were last given.
type objects struct {
	keys   []string
	revs   []int64
	values []string
}

// objects creates n keys.
func (b *bench) objects(ctx context.Context, s *server, kind string, n int) (*objects, error) {
	o := &objects{keys: make([]string, n), revs: make([]int64, n), values: make([]string, n)}
	for i := range o.keys {
		o.keys[i] = key(kind, i, fmt.Sprintf("object-%06d", i))
	}
	return o, o.create(ctx, s, b.random)
}

func (o *objects) create(ctx context.Context, s *server, random bool) error {
	if err := s.dial(connections); err != nil {
		return err
	}
	vals := make([]*values, 64)
	for i := range vals {
		vals[i] = newValues(uint64(i), random)
	}
	return fill(ctx, len(o.keys), func(ctx context.Context, w, i int) (err error) {
		o.values[i] = vals[w].next()
		o.revs[i], err = put(ctx, s.client(w), o.keys[i], o.values[i])
		return err
	})
}

// write updates an object as kube-apiserver does: if it is as it was last seen, else read it.
func (o *objects) write(ctx context.Context, c *clientv3.Client, i int, value string) error {
	k := o.keys[i]
	r, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(k), "=", o.revs[i])).Then(clientv3.OpPut(k, value)).Else(clientv3.OpGet(k)).Commit()
	if err != nil {
		return fmt.Errorf("update %s: %w", k, err)
	}
	if !r.Succeeded {
		return fmt.Errorf("update %s: it is not at revision %d, its last", k, o.revs[i])
	}
	o.revs[i], o.values[i] = r.Header.Revision, value
	return nil
}

// verify reads all objects, and compares them with what they were last given.
func (o *objects) verify(ctx context.Context, s *server) error {
	for i, k := range o.keys {
		r, err := s.client(0).Get(ctx, k)
		if err != nil {
			return fmt.Errorf("read %s back: %w", k, err)
		}
		if len(r.Kvs) != 1 || r.Kvs[0].ModRevision != o.revs[i] || string(r.Kvs[0].Value) != o.values[i] {
			return fmt.Errorf("%s was acknowledged at revision %d, but is not there as it was written", k, o.revs[i])
		}
	}
	return nil
}

func (b *bench) update(ctx context.Context, s *server, clients int, held *objects) error {
	id := fmt.Sprintf("update.%d.", clients)
	o, err := b.driveUpdates(ctx, s, id, clients, held)
	if err != nil {
		return err
	}
	if err := held.verify(ctx, s); err != nil {
		return err
	}
	b.report(s, id, o)
	return nil
}

// driveUpdates lets each client update every nth object, in turn.
func (b *bench) driveUpdates(ctx context.Context, s *server, id string, clients int, held *objects) (outcome, error) {
	vals := make([]*values, clients)
	for c := range vals {
		vals[c] = newValues(uint64(c), b.random)
	}
	each := len(held.keys) / clients
	stop := b.profiling(ctx, s, id, b.scale.warm+b.scale.length)
	defer stop()
	return drive(ctx, s, load{clients: clients, warm: b.scale.warm, length: b.scale.length, call: func(ctx context.Context, c, n int) error {
		return held.write(ctx, s.client(c), c+clients*(n%each), vals[c].next())
	}})
}
