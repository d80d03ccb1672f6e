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
)

const (
	// smallDirectory is how many keys the directory beside the large one has.
	smallDirectory = 200
	// directoryClients update objects of a directory.
	directoryClients = 16
	// pacedRate is the writes a second at which the committer's lag is measured, and pacedClients who makes them.
	pacedRate    = 5000
	pacedClients = 64
	// pacedShare of the rate has to be reached, or the lag says nothing.
	pacedShare = 0.95
	// statusInterval is how often gitcd is asked where its history is.
	statusInterval = 10 * time.Millisecond
)

// directories measures what a large directory costs a client, and how far
// behind the writes gitcd's commits are.
func (b *bench) directories(ctx context.Context, round int) (err error) {
	f, err := b.start(ctx, round, "directory.", b.peers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	large, small := map[*server]*objects{}, map[*server]*objects{}
	if err := f.each(ctx, "directory.", func(ctx context.Context, s *server) (err error) {
		if large[s], err = b.directory(ctx, s, "large", b.scale.directory); err != nil {
			return err
		}
		small[s], err = b.directory(ctx, s, "small", smallDirectory)
		return err
	}); err != nil {
		return err
	}
	if err := f.each(ctx, "directory.", func(ctx context.Context, s *server) error { return b.compareDirectories(ctx, s, large[s], small[s]) }); err != nil {
		return err
	}
	return f.each(ctx, "directory.lag", func(ctx context.Context, s *server) error {
		if s.name == kine {
			return nil // it does not reach the rate
		}
		return b.lag(ctx, s, large[s])
	})
}

// directory fills one directory.
func (b *bench) directory(ctx context.Context, s *server, name string, n int) (*objects, error) {
	o := &objects{keys: make([]string, n), revs: make([]int64, n), values: make([]string, n)}
	for i := range o.keys {
		o.keys[i] = fmt.Sprintf("/registry/pods/%s/object-%06d", name, i)
	}
	return o, o.create(ctx, s, b.random)
}

// compareDirectories updates the small directory, twice the large one, and the
// small one again, and compares the calls' mean times.
func (b *bench) compareDirectories(ctx context.Context, s *server, large, small *objects) error {
	var times [2]float64
	for _, which := range []int{0, 1, 1, 0} {
		o := []*objects{small, large}[which]
		out, err := b.driveUpdates(ctx, s, "directory."+[]string{"small.", "large."}[which], directoryClients, o)
		if err != nil {
			return err
		}
		times[which] += directoryClients / out.rate
		b.say("directory    %-6s %6d keys %8.0f/s  p50 %.2f ms  p99 %.2f ms", s.name, len(o.keys), out.rate, quantile(out.times, 0.5), quantile(out.times, 0.99))
	}
	if err := small.verify(ctx, s); err != nil {
		return err
	}
	b.table.add("directory.cost", s.name, times[1]/times[0])
	return nil
}

// lag updates at a rate, and asks gitcd meanwhile which revision its history has reached.
func (b *bench) lag(ctx context.Context, s *server, held *objects) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	lags := make(chan []time.Duration, 1)
	go func() { lags <- s.followHistory(watching) }()
	stop := b.profiling(ctx, s, "directory.paced.", b.scale.warm+b.scale.length)
	rate, err := b.pacedUpdates(ctx, s, held)
	stop()
	cancel()
	behind := <-lags
	if err != nil {
		return err
	}
	b.table.add("directory.paced", s.name, rate)
	b.say("directory    %-6s paced at %.0f/s", s.name, rate)
	if s.status == "" {
		return nil
	}
	if rate < pacedShare*pacedRate {
		return nil // the lag of this round would say nothing; without any, the row has no number
	}
	if len(behind) == 0 {
		return errors.New("gitcd's status was not read once")
	}
	slices.Sort(behind)
	b.table.add("directory.lag50", s.name, quantile(behind, 0.5))
	b.table.add("directory.lag", s.name, quantile(behind, 0.99))
	b.say("directory    %-6s committer lag p50 %.1f ms, p99 %.1f ms, most %.1f ms", s.name, quantile(behind, 0.5), quantile(behind, 0.99), quantile(behind, 1))
	return nil
}

// pacedUpdates starts an update at each tick of its client, and returns the rate that was reached.
func (b *bench) pacedUpdates(ctx context.Context, s *server, held *objects) (float64, error) {
	var group sync.WaitGroup
	var done atomic.Int64
	var firstErr atomic.Pointer[error]
	began := time.Now()
	end := began.Add(b.scale.warm + b.scale.length)
	each := len(held.keys) / pacedClients
	for c := range pacedClients {
		group.Go(func() {
			vals := newValues(uint64(c), b.random)
			step := time.Second * pacedClients / pacedRate
			next := began.Add(step * time.Duration(c) / pacedClients)
			for n := 0; next.Before(end) && firstErr.Load() == nil; n++ {
				time.Sleep(time.Until(next))
				if time.Now().After(end) {
					return
				}
				if err := held.write(ctx, s.client(c), c+pacedClients*(n%each), vals.next()); err != nil {
					firstErr.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
				next = next.Add(step)
			}
		})
	}
	group.Wait()
	if err := firstErr.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(began).Seconds(), nil
}

// moment is a look at gitcd's status.
type moment struct {
	at       time.Time
	revision int64
}

// followHistory returns, for each look, how long at most the first revision
// that the history lacks has been there: each update makes one revision.
func (s *server) followHistory(ctx context.Context) (lags []time.Duration) {
	if s.status == "" {
		return nil
	}
	var seen []moment
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return lags
		case <-ticker.C:
		}
		st, err := s.gitcdStatus(ctx)
		if err != nil {
			continue
		}
		now := time.Now()
		seen = append(seen, moment{now, st.Store.Revision})
		committed := st.Store.Revision - st.Store.Uncommitted
		// The revision behind the committed one was made after the last look that did not see it.
		i, _ := slices.BinarySearchFunc(seen, committed+1, func(m moment, r int64) int { return int(m.revision - r) })
		switch {
		case i == len(seen):
			lags = append(lags, 0)
		case i > 0:
			lags = append(lags, now.Sub(seen[i-1].at))
		}
	}
}
