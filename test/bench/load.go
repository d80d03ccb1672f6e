// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is clients that each wait for an answer before they ask again.
type load struct {
	clients int
	warm    time.Duration
	length  time.Duration
	// call is client c's nth call.
	call func(ctx context.Context, c, n int) error
}

// outcome is what a load has measured. What the server used, and calls, are from
// its start to its settled end.
type outcome struct {
	rate  float64         // calls a second that ended between the warm-up and the end
	times []time.Duration // of the calls that began in that time, however late they ended; sorted
	calls int
	used  usage
	self  float64 // CPU seconds of this program, which shares the machine with the server
}

// patience is how long calls may take behind the end of a load.
const patience = 60 * time.Second

// drive puts a load on a server.
func drive(ctx context.Context, s *server, l load) (outcome, error) {
	before, err := s.settle(ctx)
	if err != nil {
		return outcome{}, err
	}
	selfBefore, err := cpuSeconds(os.Getpid())
	if err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.warm+l.length+patience)
	defer cancel()
	var stop, recording atomic.Bool
	var calls, ended, failed atomic.Int64
	var firstErr atomic.Pointer[error]
	times := make([][]time.Duration, l.clients)
	var group sync.WaitGroup
	for c := range l.clients {
		group.Go(func() {
			for n := 0; !stop.Load() && ctx.Err() == nil; n++ {
				record := recording.Load()
				began := time.Now()
				err := l.call(ctx, c, n)
				took := time.Since(began)
				if err != nil {
					firstErr.CompareAndSwap(nil, &err)
					failed.Add(1)
					return // the row has failed: nothing is gained by more of it
				}
				calls.Add(1)
				if recording.Load() && !stop.Load() {
					ended.Add(1)
				}
				if record {
					times[c] = append(times[c], took)
				}
			}
		})
	}
	time.Sleep(l.warm)
	recording.Store(true)
	began := time.Now()
	time.Sleep(l.length)
	stop.Store(true)
	elapsed := time.Since(began)
	group.Wait()
	if n := failed.Load(); n > 0 {
		return outcome{}, fmt.Errorf("%d of %d clients failed, the first with: %w", n, l.clients, *firstErr.Load())
	}
	selfAfter, err := cpuSeconds(os.Getpid())
	if err != nil {
		return outcome{}, err
	}
	after, err := s.settle(ctx)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{calls: int(calls.Load()), used: after.since(before), self: selfAfter - selfBefore}
	for _, t := range times {
		o.times = append(o.times, t...)
	}
	slices.Sort(o.times)
	o.rate = float64(ended.Load()) / elapsed.Seconds()
	if len(o.times) == 0 {
		return outcome{}, errors.New("not one call began and ended in time")
	}
	return o, nil
}

// quantile returns the value below which the share q of sorted times lie, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(float64(len(sorted)-1)*q)]) / float64(time.Millisecond)
}

// fill makes calls 0 to n-1, as fast as some writers can.
func fill(ctx context.Context, n int, call func(ctx context.Context, writer, i int) error) error {
	const writers = 64
	var next atomic.Int64
	var firstErr atomic.Pointer[error]
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for firstErr.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := call(ctx, w, i); err != nil {
					firstErr.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := firstErr.Load(); err != nil {
		return fmt.Errorf("fill: %w", *err)
	}
	return nil
}
