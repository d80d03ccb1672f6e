// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// The refs of an exchange.
const (
	heads = "refs/heads/"
	// Main is the ref that all branches are merged into, upstream.
	Main = heads + "main"
	// remoteMain is where the last main that was fetched is kept.
	remoteMain = "refs/remotes/upstream/main"
)

// BatchInterval is how long changes of lazy keys are gathered before they are
// committed, where no hub passes on that leases were renewed: each commit is
// pushed, merged and fetched.
const BatchInterval = 35 * time.Second

// RenewalInterval is how long a store that has a hub should gather them: what
// others have to know of them at once goes beside Git, and what is left is history.
const RenewalInterval = 10 * time.Minute

// Options configures an Exchange. Branch and Epoch are needed; the zero value
// of the rest is a good production setting.
type Options struct {
	// Branch is the own branch: heavens/<component> or nodes/<node>.
	Branch string
	// Epoch is the one that Take returned.
	Epoch int64
	// Holder is who holds it.
	Holder string
	// Hold returns when the first push may go out: genesis waits for its
	// kube-apiserver, so that main begins with the bootstrap objects. Default: at once.
	Hold func(context.Context) error
	// OnFenced is called once when another writer has the branch. When it
	// returns, nothing more must be acknowledged. Default: nothing to stop.
	OnFenced func(*FencedError)
	// Settings say how the branch meets main, until the hub says its own: Use. Default: gitcd's own.
	Settings merge.Settings
	// Grains say which keys are lazy: those of grain Batch wait for company. Default layout.DefaultGrains.
	Grains layout.Grains
	// Beside is where the store has what travels beside Git: with it, a lease that is only renewed is told of at once, and
	// is committed when the store's own patience with it ends. Default: renewals go by Git alone.
	Beside Beside
	// BeatEvery is how often it is looked whether leases were renewed. Default 5 s.
	BeatEvery time.Duration
	// Gather is how long changes of lazy keys wait to be committed that cannot travel beside Git. Default BatchInterval.
	Gather time.Duration
	// LazyWait is how long a commit of lazy keys alone waits for company. Default 10 s.
	LazyWait time.Duration
	// Await is how long a round waits for main to hold the last push. Default 1 s.
	Await time.Duration
	// Poll is how often an upstream without a stream is asked while something moves; while nothing does, more and
	// more seldom, down to every MaxPoll. Default 2 s and 30 s.
	Poll, MaxPoll time.Duration
	// PushEvery is the least time between two pushes, for a forge that has limits. Default: none.
	PushEvery time.Duration
	// MovesMain has this exchange move main itself, for an upstream where nobody else does: whoever has merged main
	// into its own branch hands its head in as main, too, by compare and swap.
	MovesMain bool
	// Timeout is how long one request may take. Default 30 s.
	Timeout time.Duration
	// MinPause and MaxPause bound the pauses while a link is down. Default 100 ms and 30 s.
	MinPause, MaxPause time.Duration
	// Leave is how long the last push may take when Run is stopped. Default 10 s.
	Leave time.Duration
	// Chance spreads the pauses: a number from 0 to less than 1. Default: a random one.
	Chance func() float64
	// Clock is the time. Default the machine's.
	Clock clock.WithTicker
	// Log is told of what goes wrong. Default: nobody.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	durations := []struct {
		d  *time.Duration
		or time.Duration
	}{
		{&o.BeatEvery, 5 * time.Second},
		{&o.Gather, BatchInterval},
		{&o.LazyWait, 10 * time.Second},
		{&o.Await, time.Second},
		{&o.Poll, 2 * time.Second},
		{&o.MaxPoll, 30 * time.Second},
		{&o.Timeout, 30 * time.Second},
		{&o.MinPause, 100 * time.Millisecond},
		{&o.MaxPause, 30 * time.Second},
		{&o.Leave, 10 * time.Second},
	}
	for _, x := range durations {
		if *x.d <= 0 {
			*x.d = x.or
		}
	}
	if o.OnFenced == nil {
		o.OnFenced = func(*FencedError) {}
	}
	if o.Grains == nil {
		o.Grains = layout.DefaultGrains()
	}
	if o.Chance == nil {
		o.Chance = rand.Float64 // it only spreads retries
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Exchange keeps a store and its upstream in step.
type Exchange struct {
	store  Store
	repo   Repository
	up     Upstream
	o      Options
	ref    string // of the own branch
	news   *news
	polled atomic.Bool   // the upstream has no stream
	hints  chan struct{} // holds one token when somebody says that there are news
	pulse  *pulse

	settings atomic.Pointer[merge.Settings] // what the hub said last, or the options

	// The loop owns what follows.
	history  *merge.History
	using    *merge.Settings // which history goes by
	own      gitobj.ID       // the own branch upstream, as far as known
	known    bool            // whether own is
	main     gitobj.ID       // the last main heard of
	steps    []Notice        // packs that lead to it
	heard    time.Time       // since when main is not joined though it was fetched, since all that is new in it is lazy
	joined   gitobj.ID       // the last main that the head holds
	heldIn   gitobj.ID       // the own branch upstream when main was joined last: joined holds it
	connects int             // the link that own was read on
	awaited  gitobj.ID       // what was pushed and not seen in main
	until    time.Time       // how long to await it
	lazy     time.Time       // since when lazy changes wait; zero if none do
	lazily   time.Time       // when lazy changes were pushed last
	urgent   bool            // the head tells of conflicts, which do not wait
	pushAt   time.Time       // no push before
	retry    time.Time       // no call before; zero if the link is good
	pause    *pause
	released bool // the hold is over

	status status
}

// status is what Status tells.
type status struct {
	mu sync.Mutex
	s  Status
}

// New returns an exchange between a store, whose objects are in repo, and its upstream.
func New(store Store, repo Repository, up Upstream, o Options) *Exchange {
	remembering := remember(repo)
	x := &Exchange{
		store: store, repo: remembering, up: up, o: o.withDefaults(), ref: heads + o.Branch,
		news: newNews(), pulse: newPulse(), hints: make(chan struct{}, 1), history: merge.NewHistory(remembering),
	}
	x.settings.Store(&x.o.Settings)
	x.using = &x.o.Settings
	x.pause = x.o.pauses()
	x.status.s = Status{Branch: o.Branch, Epoch: o.Epoch, Holder: o.Holder}
	return x
}

// Run exchanges until the context ends or the branch is lost. It hands in what
// is left, then returns nil; a *FencedError says that another writer has the branch.
func (x *Exchange) Run(ctx context.Context) error {
	following, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { x.follow(following) })
	hold := make(chan error, 1)
	background.Go(func() { hold <- x.hold(following) })
	background.Go(func() { x.beatOn(following) })
	err := x.loop(ctx, hold)
	stop()
	background.Wait()
	if err == nil {
		err = x.leave(ctx)
	}
	if lost := (*FencedError)(nil); errors.As(err, &lost) {
		return x.surrender(ctx, lost)
	}
	return err
}

func (x *Exchange) hold(ctx context.Context) error {
	if x.o.Hold == nil {
		return nil
	}
	if err := x.o.Hold(ctx); err != nil {
		return fmt.Errorf("wait for genesis: %w", err)
	}
	return nil
}

// loop steps at each event, until the context ends.
func (x *Exchange) loop(ctx context.Context, hold <-chan error) error {
	for {
		moved := x.store.HeadChanged()
		wake, err := x.step(ctx)
		if err != nil {
			return err
		}
		alarm, stop := x.alarm(wake)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-moved:
		case <-x.news.wake:
		case <-alarm:
		case err := <-hold:
			if err != nil && ctx.Err() == nil {
				stop()
				return err
			}
			x.released, hold = err == nil, nil
		}
		stop()
	}
}

// alarm rings at a moment, never if that is zero.
func (x *Exchange) alarm(at time.Time) (ring <-chan time.Time, stop func()) {
	if at.IsZero() {
		return nil, func() {}
	}
	timer := x.o.Clock.NewTimer(max(0, at.Sub(x.o.Clock.Now())))
	return timer.C(), func() { timer.Stop() }
}

// step does what is due, and says when something is due without an event. It
// fails only for good: what the link does wrong is tried again.
func (x *Exchange) step(ctx context.Context) (wake time.Time, err error) {
	x.listen()
	now := x.o.Clock.Now()
	if now.Before(x.retry) {
		return x.retry, nil
	}
	for _, part := range []func(context.Context) error{x.resync, x.pull, x.push} {
		if err := part(ctx); err != nil {
			if lost := (*FencedError)(nil); errors.As(err, &lost) {
				return time.Time{}, err
			}
			if errors.Is(err, mvcc.ErrFailed) || errors.Is(err, mvcc.ErrClosed) || errors.Is(err, journal.ErrFailed) {
				return time.Time{}, err // nothing can be kept any more, whatever the link does
			}
			x.retry = x.o.Clock.Now().Add(max(x.pause.next(), patience(err)))
			x.note(func(s *Status) { s.LastError = err.Error() })
			x.o.Log.Warn("exchange with upstream failed and will be tried again", "branch", x.o.Branch, "err", err)
			return x.retry, nil
		}
	}
	x.retry = time.Time{}
	x.pause.reset()
	x.note(func(s *Status) {
		if s.Connected {
			s.LastError = ""
		}
	})
	return x.due(now), nil
}

// due returns the earliest moment at which waiting ends. What ended since now, when
// the step began, counts: the step may have looked before it did, and nobody else would wake it.
func (x *Exchange) due(now time.Time) time.Time {
	var wake time.Time
	if !x.awaited.IsZero() && now.Before(x.until) { // once that is over, only news of main ends it
		wake = x.until
	}
	if now.Before(x.pushAt) && x.unpushed(x.store.Head()) {
		wake = x.pushAt // of whatever else waits, nothing goes out before
	}
	for _, since := range []struct {
		at   time.Time
		wait time.Duration
	}{{x.lazy, x.o.LazyWait}, {x.heard, x.lazyPull()}, {x.lazily, x.lazyWriter()}} {
		if at := since.at.Add(since.wait); !since.at.IsZero() && at.After(now) && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake
}

// listen takes in the news.
func (x *Exchange) listen() {
	found, steps, connects, up, err := x.news.read()
	x.main, x.steps = found[Main], steps
	if connects != x.connects {
		x.connects, x.known = connects, false
		x.retry = time.Time{} // a sign of life
	}
	if own, heard := found[x.ref]; heard && own != x.own && !own.IsZero() && !x.repo.Has(own) {
		x.known = false // not ours: look closer
	}
	if x.polled.Load() && (found[x.ref].IsZero() && !x.own.IsZero() || x.main.IsZero() && !x.joined.IsZero()) {
		x.known = false // the forge has lost it, or it was asked before it had it
	}
	x.note(func(s *Status) {
		s.Connected = up
		if err != nil {
			s.LastError = err.Error()
		}
	})
}

// note changes the status.
func (x *Exchange) note(change func(*Status)) {
	x.status.mu.Lock()
	defer x.status.mu.Unlock()
	change(&x.status.s)
}
