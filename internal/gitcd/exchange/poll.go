// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// Hint says that the upstream may have news: one that is polled is asked now.
func (x *Exchange) Hint() {
	select {
	case x.hints <- struct{}{}:
	default:
	}
}

// poll asks for the heads, again and again, until that fails. What moves is
// asked for often, what does not move more and more seldom, and never all
// heavens of a cluster in one moment.
func (x *Exchange) poll(ctx context.Context, refs []string, good func()) error {
	x.polled.Store(true)
	pause := x.o.Poll
	for {
		moved, err := x.ask(ctx, refs)
		if err != nil {
			return err
		}
		good()
		if moved {
			pause = x.o.Poll
		}
		if x.napped(ctx, time.Duration((0.75+x.o.Chance()/2)*float64(pause))) {
			pause = x.o.Poll
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause = min(pause*3/2, max(x.o.Poll, x.o.MaxPoll))
	}
}

// napped waits, and says whether a hint ended it.
func (x *Exchange) napped(ctx context.Context, d time.Duration) (hinted bool) {
	timer := x.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-x.hints:
		return true
	case <-ctx.Done():
	}
	return false
}

// ask asks once for the heads, and says whether one has moved.
func (x *Exchange) ask(ctx context.Context, refs []string) (moved bool, err error) {
	before, _, _, _, _ := x.news.read()
	ctx, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	heads, err := x.up.ListRefs(ctx, refs...)
	if err != nil {
		return false, reason(ctx, err)
	}
	for _, ref := range refs {
		moved = moved || before[ref] != heads[ref]
		x.news.tell(Notice{Ref: ref, ID: heads[ref]})
	}
	return moved, nil
}

// patience is how long an upstream asks to be left alone.
func patience(err error) time.Duration {
	if answer := (*transport.StatusError)(nil); errors.As(err, &answer) {
		return answer.RetryAfter
	}
	return 0
}
