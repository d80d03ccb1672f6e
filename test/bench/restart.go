// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// repose is how long a server that was filled is left alone, to see what memory it holds then.
const repose = 5 * time.Second

// unsettled is how many keys are written right before the kill, so that it hits a busy store.
const unsettled = 2000

// restarts fills a store, kills it, and measures the time to the first read.
// kine takes part in the first round only: it fills ten times as long.
func (b *bench) restarts(ctx context.Context, round int) error {
	for _, p := range b.peers {
		if p.name == kine && round > 0 {
			continue
		}
		if err := b.restart(ctx, round, p); err != nil {
			return err
		}
	}
	return nil
}

// restart has one server at a time: a filled store may take the machine's memory.
func (b *bench) restart(ctx context.Context, round int, p peer) (err error) {
	f, err := b.start(ctx, round, "restart.", []peer{p})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	var killed *server
	if err := f.each(ctx, "restart.", func(ctx context.Context, s *server) error {
		killed = s
		return b.fillAndMeasure(ctx, s)
	}); err != nil || len(f.servers) == 0 {
		return err
	}
	// Its successor on the same directory takes its place.
	f.servers = nil
	if err := killed.signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := fill(ctx, unsettled, b.creator(killed, b.scale.filled)); err != nil {
		b.fail("restart.", p.name, err)
	}
	if err := killed.kill(); err != nil {
		return err
	}
	f.servers = []*server{killed}
	began := time.Now()
	s, err := p.start(ctx, killed.dir)
	if err != nil {
		b.fail("restart.", p.name, err)
		return ctx.Err()
	}
	took := time.Since(began)
	f.servers = []*server{s}
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return f.each(ctx, "restart.", func(ctx context.Context, s *server) error {
		if err := b.measureRestarted(ctx, s); err != nil {
			return err
		}
		b.table.add("restart.first", s.name, float64(took)/float64(time.Millisecond))
		b.say("restart      %-6s kill -9 to first read %s", s.name, took.Round(time.Millisecond))
		return nil
	})
}

// creator returns what creates the ith key behind the first ones.
func (b *bench) creator(s *server, first int) func(ctx context.Context, w, i int) error {
	vals := make([]*values, 64)
	for w := range vals {
		vals[w] = newValues(uint64(w), b.random)
	}
	return func(ctx context.Context, w, i int) error {
		_, err := put(ctx, s.client(w), key("configmaps", first+i, fmt.Sprintf("filled-%08d", first+i)), vals[w].next())
		return err
	}
}

func (b *bench) fillAndMeasure(ctx context.Context, s *server) error {
	if err := s.dial(connections); err != nil {
		return err
	}
	stop := b.profiling(ctx, s, "restart.fill.", 2*b.scale.length)
	began := time.Now()
	if err := fill(ctx, b.scale.filled, b.creator(s, 0)); err != nil {
		return err
	}
	rate := float64(b.scale.filled) / time.Since(began).Seconds()
	stop()
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	memory, err := resident(s.pid)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(repose):
	}
	rested, err := resident(s.pid)
	if err != nil {
		return err
	}
	size, err := bytesBelow(s.dir)
	if err != nil {
		return err
	}
	if err := b.read(ctx, s, "restart.count.", 1, func(ctx context.Context, _, _ int) error {
		return count(ctx, s, "/registry/configmaps/", b.scale.filled)
	}); err != nil {
		return err
	}
	b.table.add("restart.fill.rate", s.name, rate)
	b.table.add("restart.filled", s.name, float64(memory)/1e6)
	b.table.add("restart.rested", s.name, float64(rested)/1e6)
	b.table.add("restart.size", s.name, float64(size)/float64(b.scale.filled))
	b.say("fill         %-6s %8.0f/s  resident %d MB, %d MB on disk", s.name, rate, memory/1e6, size/1e6)
	return nil
}

// measureRestarted counts what is there, and reads some of it.
func (b *bench) measureRestarted(ctx context.Context, s *server) error {
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	memory, err := resident(s.pid)
	if err != nil {
		return err
	}
	if err := count(ctx, s, "/registry/configmaps/", b.scale.filled+unsettled); err != nil {
		return fmt.Errorf("after kill -9: %w", err)
	}
	const samples = 100
	for i := range samples {
		n := i * (b.scale.filled + unsettled - 1) / (samples - 1)
		k := key("configmaps", n, fmt.Sprintf("filled-%08d", n))
		r, err := s.client(0).Get(ctx, k, clientv3.WithLimit(1))
		if err != nil {
			return fmt.Errorf("after kill -9: get %s: %w", k, err)
		}
		if len(r.Kvs) != 1 || len(r.Kvs[0].Value) != valueSize {
			return fmt.Errorf("after kill -9: %s was acknowledged, but is not there", k)
		}
	}
	b.table.add("restart.resident", s.name, float64(memory)/1e6)
	b.say("restart      %-6s resident %d MB", s.name, memory/1e6)
	return nil
}

// bytesBelow returns what the files below a directory take on disk.
func bytesBelow(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed while we looked
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // it was removed while we looked
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			total += st.Blocks * sector
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return total, nil
}
