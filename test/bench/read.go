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

// pageSize is how many objects a client of kube-apiserver asks for at once.
const pageSize = 500

// reads measures gets, lists and counts of a store of some thousand keys.
func (b *bench) reads(ctx context.Context, round int) (err error) {
	f, err := b.start(ctx, round, "read.", b.peers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	held := map[*server]*objects{}
	if err := f.each(ctx, "read.", func(ctx context.Context, s *server) (err error) {
		held[s], err = b.objects(ctx, s, "pods", b.scale.listed)
		return err
	}); err != nil {
		return err
	}
	for _, n := range readers {
		id := fmt.Sprintf("read.get%d.", n)
		if err := f.each(ctx, id, func(ctx context.Context, s *server) error {
			return b.read(ctx, s, id, n, func(ctx context.Context, c, i int) error {
				return held[s].get(ctx, s, (i*7919+c*104729)%b.scale.listed)
			})
		}); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		id   string
		call func(ctx context.Context, s *server) error
	}{
		{"read.list.", func(ctx context.Context, s *server) error { return held[s].list(ctx, s) }},
		{"read.paged.", func(ctx context.Context, s *server) error { return held[s].pages(ctx, s) }},
		{"read.count.", func(ctx context.Context, s *server) error { return count(ctx, s, "/registry/pods/", b.scale.listed) }},
	} {
		if err := f.each(ctx, r.id, func(ctx context.Context, s *server) error {
			return b.read(ctx, s, r.id, 1, func(ctx context.Context, _, _ int) error { return r.call(ctx, s) })
		}); err != nil {
			return err
		}
	}
	return nil
}

// read measures a kind of read.
func (b *bench) read(ctx context.Context, s *server, id string, clients int, call func(ctx context.Context, c, n int) error) error {
	if err := s.dial(connections); err != nil {
		return err
	}
	stop := b.profiling(ctx, s, id, b.scale.warm+b.scale.length)
	o, err := drive(ctx, s, load{clients: clients, warm: b.scale.warm, length: b.scale.length, call: call})
	stop()
	if err != nil {
		return err
	}
	b.table.add(id+"rate", s.name, o.rate)
	b.table.add(id+"p50", s.name, quantile(o.times, 0.5))
	b.table.add(id+"p99", s.name, quantile(o.times, 0.99))
	b.table.add(id+"cpu", s.name, o.used.cpu*1e6/float64(o.calls))
	b.say("%-14s %-6s %8.0f/s  p50 %7.2f ms  p99 %7.2f ms  %5.0f us CPU", strings.TrimSuffix(id, "."), s.name, o.rate,
		quantile(o.times, 0.5), quantile(o.times, 0.99), o.used.cpu*1e6/float64(o.calls))
	return nil
}

// get reads an object as kube-apiserver does.
func (o *objects) get(ctx context.Context, s *server, i int) error {
	r, err := s.client(i).Get(ctx, o.keys[i], clientv3.WithLimit(1))
	if err != nil {
		return fmt.Errorf("get %s: %w", o.keys[i], err)
	}
	if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != o.values[i] {
		return fmt.Errorf("get %s: it is not there with its value", o.keys[i])
	}
	return nil
}

// list reads all objects at once.
func (o *objects) list(ctx context.Context, s *server) error {
	r, err := s.client(0).Get(ctx, "/registry/pods/", clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(r.Kvs) != len(o.keys) || r.Count != int64(len(o.keys)) || r.More {
		return fmt.Errorf("list: %d keys and a count of %d came back, not %d", len(r.Kvs), r.Count, len(o.keys))
	}
	return nil
}

// pages reads all objects in pages of one revision.
func (o *objects) pages(ctx context.Context, s *server) error {
	from, end, revision, seen, last := "/registry/pods/", clientv3.GetPrefixRangeEnd("/registry/pods/"), int64(0), 0, ""
	for {
		r, err := s.client(0).Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))
		if err != nil {
			return fmt.Errorf("list a page: %w", err)
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		for _, kv := range r.Kvs {
			if string(kv.Key) <= last {
				return fmt.Errorf("list a page: %q came after %q", kv.Key, last)
			}
			last = string(kv.Key)
		}
		seen += len(r.Kvs)
		if !r.More {
			break
		}
		from = last + "\x00"
	}
	if seen != len(o.keys) {
		return fmt.Errorf("list in pages: %d keys came back, not %d", seen, len(o.keys))
	}
	return nil
}

// count counts the keys of a directory.
func count(ctx context.Context, s *server, prefix string, want int) error {
	r, err := s.client(0).Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if r.Count != int64(want) {
		return fmt.Errorf("count: %d keys, not %d", r.Count, want)
	}
	return nil
}
