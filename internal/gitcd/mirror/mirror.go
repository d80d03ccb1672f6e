// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// Repository is the hub's, a *journal.Journal. It is safe for concurrent use.
type Repository interface {
	transport.Repository
	// Ref returns what a ref points to.
	Ref(name string) (gitobj.ID, bool)
	// Append writes the frames, all or nothing, and returns, if durable, after a sync that covers them.
	Append(ctx context.Context, frames []journal.Frame, durable bool) ([]journal.Place, error)
	// Changed returns a channel that is closed when a ref next changes.
	Changed() <-chan struct{}
}

// Forge is the other side, a *transport.Client.
type Forge interface {
	// ListRefs returns the refs whose names begin with one of the prefixes.
	ListRefs(ctx context.Context, prefixes ...string) (map[string]gitobj.ID, error)
	// Fetch brings what the wants reach and the store lacks, verified and complete.
	Fetch(ctx context.Context, store transport.Objects, wants, haves []gitobj.ID) ([]transport.Object, error)
	// Push moves refs from their Old to their New, all or none. A refusal is a *transport.RejectedError.
	Push(ctx context.Context, store transport.Objects, commands []transport.Command, items []transport.Item, options ...string) error
}

const (
	heads = "refs/heads/"
	// Remote is where it is kept what the forge was last seen to have.
	Remote = "refs/remotes/forge/"
	main   = "main"
	// rewritten is where histories of the forge's are kept that have nothing in common with ours.
	rewritten = "rewritten/"
)

// Options configures a Mirror. URL is needed; the zero value of the rest is a good production setting.
type Options struct {
	// URL is the forge's repository, without user and password: it is shown and kept.
	URL string
	// Offer has the hub merge a ref into main. Default: nobody merges.
	Offer func(ref string)
	// Interval is the least time between two pushes. Default 10 s: what GitHub asks for.
	Interval time.Duration
	// Poll is how often the forge is looked at if nothing else asks for it. Default 1 min.
	Poll time.Duration
	// Timeout is how long one request may take. Default 10 min.
	Timeout time.Duration
	// MinPause and MaxPause bound the pauses after failures. Default 1 s and 5 min.
	MinPause, MaxPause time.Duration
	// Leave is how long the last push may take when Run is stopped. Default 10 s.
	Leave time.Duration
	// Chance spreads pauses: a number from 0 to less than 1. Default: a random one.
	Chance func() float64
	// Clock is the time. Default the machine's.
	Clock clock.WithTicker
	// Log is told of what goes wrong, and of what others did at the forge. Default: nobody.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, x := range []struct {
		d  *time.Duration
		or time.Duration
	}{
		{&o.Interval, 10 * time.Second},
		{&o.Poll, time.Minute},
		{&o.Timeout, 10 * time.Minute},
		{&o.MinPause, time.Second},
		{&o.MaxPause, 5 * time.Minute},
		{&o.Leave, 10 * time.Second},
	} {
		if *x.d <= 0 {
			*x.d = x.or
		}
	}
	if o.Offer == nil {
		o.Offer = func(string) {}
	}
	if o.Chance == nil {
		o.Chance = rand.Float64 // it only spreads requests
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Mirror keeps one forge in step with one repository.
type Mirror struct {
	repo   Repository
	forge  Forge
	o      Options
	hint   chan struct{} // holds one token when somebody says that the forge has news
	ledger *ledger
	status status

	// Run and Restore own what follows.
	theirs   map[string]gitobj.ID // branch -> what the forge has, as far as known
	known    bool                 // theirs is what the last look found, and what was pushed since
	sure     map[string]gitobj.ID // branch -> what of theirs is known to be in our history
	refused  map[string]refusal   // branch -> why the forge does not take it, for now
	barred   map[string]barred    // branch -> why what others pushed to it is not taken in
	lookAt   time.Time            // when the next look is due
	pushAt   time.Time            // no push before
	pausedTo time.Time            // no request before
	pause    pause
	behind   error // why a branch cannot be handed in although the forge answers
}

// refusal is the forge's no to one branch.
type refusal struct {
	reason string
	id     gitobj.ID // what it did not take
	again  time.Time // when it is asked again
}

// barred is our no to what others pushed to one branch.
type barred struct {
	id  gitobj.ID
	err error
}

// New returns a mirror of the repository at the forge. Run must run for anything to happen.
func New(repo Repository, forge Forge, o Options) *Mirror {
	o = o.withDefaults()
	m := &Mirror{
		repo: repo, forge: forge, o: o,
		hint:    make(chan struct{}, 1),
		ledger:  newLedger(o.Clock, func() map[string]gitobj.ID { return branches(repo) }),
		theirs:  map[string]gitobj.ID{},
		sure:    map[string]gitobj.ID{},
		refused: map[string]refusal{},
		barred:  map[string]barred{},
		pause:   pause{min: o.MinPause, max: o.MaxPause, chance: o.Chance},
	}
	m.status.s.URL = o.URL
	return m
}

// Hint says that the forge may have news. It is looked at soon, within the limits.
func (m *Mirror) Hint() {
	select {
	case m.hint <- struct{}{}:
	default:
	}
}

// Run mirrors until the context ends, or until the repository has failed. What
// a forge that answers lacks then, it is handed in a last push.
func (m *Mirror) Run(ctx context.Context) error {
	if err := m.begin(ctx); err != nil {
		return ending(ctx, err)
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { m.watch(watching) })
	defer watch.Wait()
	defer stop()
	for {
		wake, err := m.round(ctx)
		if ctx.Err() != nil {
			return m.leave(ctx)
		}
		if err != nil {
			return err
		}
		m.wait(ctx, wake)
	}
}

// leave hands in what is left. What it cannot hand in goes out after the next start.
func (m *Mirror) leave(ctx context.Context) error {
	ctx, cancel := within(context.WithoutCancel(ctx), m.o.Clock, m.o.Leave)
	defer cancel()
	if !m.known || m.o.Clock.Now().Before(m.pausedTo) {
		return nil
	}
	m.pushAt = time.Time{}
	err := m.push(ctx)
	if err != nil && !dead(err) {
		m.o.Log.Warn("left with something that the forge lacks; it goes out after the next start", "url", m.o.URL, "err", err)
		err = nil
	}
	return err
}

// ending is nil if the context has ended, whatever that led to.
func ending(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// watch notes in the ledger when our branches move.
func (m *Mirror) watch(ctx context.Context) {
	for {
		changed := m.repo.Changed()
		m.ledger.moved()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// wait returns when something is due: at a moment, at a hint, or when a branch has moved.
func (m *Mirror) wait(ctx context.Context, wake time.Time) {
	timer := m.o.Clock.NewTimer(max(0, wake.Sub(m.o.Clock.Now())))
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-m.ledger.wake:
	case <-m.hint:
		m.lookAt = time.Time{}
	case <-ctx.Done():
	}
}

// round does what is due, and says when the next thing is. It fails only if
// the repository does: what the forge does wrong is tried again.
func (m *Mirror) round(ctx context.Context) (wake time.Time, err error) {
	now := m.o.Clock.Now()
	if now.Before(m.pausedTo) {
		return m.pausedTo, nil
	}
	m.behind = nil
	err = m.exchange(ctx, now)
	if dead(err) {
		return now, err
	}
	if err != nil && ctx.Err() == nil {
		m.known = false
		m.pausedTo = m.o.Clock.Now().Add(m.pause.after(err))
		m.o.Log.Warn("the forge is not in step and will be tried again", "url", m.o.URL, "err", err)
		m.note(func(s *Status) {
			s.Connected = s.Connected && errors.Is(err, errNotOurs)
			s.Failures++
			s.LastError, s.NextTry = err.Error(), timeOf(m.pausedTo)
		})
		return m.pausedTo, nil
	}
	m.pause.reset()
	m.pausedTo = time.Time{}
	m.note(func(s *Status) {
		s.LastError, s.NextTry = "", nil
		if m.behind != nil {
			s.LastError = m.behind.Error()
		}
	})
	return m.due(), nil
}

// exchange looks at the forge if it is time to, and hands in what it lacks.
func (m *Mirror) exchange(ctx context.Context, now time.Time) error {
	if !m.known || !now.Before(m.lookAt) {
		if err := m.look(ctx); err != nil {
			return err
		}
	}
	return m.push(ctx)
}

// due is when there is something to do without an event.
func (m *Mirror) due() time.Time {
	if m.ledger.behind(m.ready) && m.pushAt.Before(m.lookAt) {
		return m.pushAt
	}
	return m.lookAt
}

// ready says whether a branch may be handed in at all for now.
func (m *Mirror) ready(name string) bool {
	r, no := m.refused[name]
	return !no || !m.o.Clock.Now().Before(r.again)
}

// dead says whether an error means that the repository takes nothing any more.
func dead(err error) bool {
	return errors.Is(err, journal.ErrFailed) || errors.Is(err, journal.ErrClosed)
}
