// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// pause grows with each failure, from min to max, and is spread by chance. A
// forge that says how long to wait is obeyed (law F5).
type pause struct {
	min, max time.Duration
	chance   func() float64 // from 0 to less than 1
	now      time.Duration
}

func (p *pause) reset() { p.now = 0 }

// after returns how long to wait after a failure.
func (p *pause) after(err error) time.Duration {
	p.now = min(max(2*p.now, p.min), p.max)
	wait := p.now/2 + time.Duration(p.chance()*float64(p.now)/2)
	if answer := (*transport.StatusError)(nil); errors.As(err, &answer) {
		return max(wait, answer.RetryAfter)
	}
	return wait
}

// errTimeout is why a request was given up.
var errTimeout = errors.New("the forge does not answer in time")

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

// reason prefers why a context ended to the error that this led to.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
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
