// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"
)

// pause grows with each failure, from min to max, and spreads by chance so
// that the heavens of a cluster do not all come back in one moment.
type pause struct {
	min, max time.Duration
	chance   func() float64 // from 0 to less than 1
	now      time.Duration
}

func (o Options) pauses() *pause {
	return &pause{min: o.MinPause, max: o.MaxPause, chance: o.Chance}
}

func (p *pause) reset() { p.now = 0 }

// next returns how long to wait now: half of it for sure, half by chance.
func (p *pause) next() time.Duration {
	p.now = min(max(2*p.now, p.min), p.max)
	return p.now/2 + time.Duration(p.chance()*float64(p.now)/2)
}

// errTimeout is why a call to the upstream was given up.
var errTimeout = errors.New("the upstream does not answer in time")

// within is context.WithTimeout by a clock of one's own.
func within(ctx context.Context, clk clock.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := clk.NewTimer(d)
	go func() {
		defer timer.Stop()
		select {
		case <-timer.C():
			cancel(errTimeout)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, clk clock.Clock, d time.Duration) {
	timer := clk.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

func (x *Exchange) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return within(ctx, x.o.Clock, d)
}

func (x *Exchange) sleep(ctx context.Context, d time.Duration) { sleep(ctx, x.o.Clock, d) }
