// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"time"

	"k8s.io/utils/clock"
)

// pace bounds how much a background task reads and writes in a time.
type pace struct {
	clock clock.Clock
	// rate is in bytes a second; negative: there is no bound.
	rate int64
	// due is when what was taken so far may have been taken.
	due time.Time
	// taken was not yet counted.
	taken int
}

const (
	// paceStep is how much is counted at once.
	paceStep = 64 << 10
	// paceRest is the shortest rest.
	paceRest = 10 * time.Millisecond
)

// take counts n bytes, and rests if that is too much by now.
func (p *pace) take(ctx context.Context, n int) error {
	if p.taken += n; p.taken < paceStep {
		return nil
	}
	if p.rate > 0 {
		now := p.clock.Now()
		if p.due.Before(now) {
			p.due = now
		}
		p.due = p.due.Add(time.Duration(float64(p.taken) / float64(p.rate) * float64(time.Second)))
		if rest := p.due.Sub(now); rest > paceRest {
			timer := p.clock.NewTimer(rest)
			defer timer.Stop()
			select {
			case <-ctx.Done():
			case <-timer.C():
			}
		}
	}
	p.taken = 0
	return ctx.Err()
}
