// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// TakeOptions says who takes which branch.
type TakeOptions struct {
	// Branch is the branch to take: heavens/<component> or nodes/<node>.
	Branch string
	// Holder is who takes it. A holder that goes on with its repository keeps its epoch.
	Holder string
	// Author is whom the epoch's commit is by: the component.
	Author mvcc.Identity
	// Genesis says that this heaven makes the first commit, if neither the branch nor main exists.
	Genesis bool
	// Flush opens the repository's store as the holder of an earlier epoch,
	// commits what that acknowledged, closes it and returns the head. It is called when the epoch ends. Needed if
	// the repository may hold a store.
	Flush func(ctx context.Context, epoch int64, holder string) (gitobj.ID, error)
	// Patience is how long a holder that could go on waits for an upstream that is out of reach. Default 5 s.
	Patience time.Duration
	// Timeout is how long a clone may take. Default 10 min.
	Timeout time.Duration
	// MinPause and MaxPause bound the pauses while waiting. Default 100 ms and 5 s.
	MinPause, MaxPause time.Duration
	// Clock is the time, also the commit's. Default the machine's.
	Clock clock.WithTicker
	// Log is told what is waited for. Default: nobody.
	Log *slog.Logger
}

func (o TakeOptions) withDefaults() TakeOptions {
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.MinPause <= 0 {
		o.MinPause = 100 * time.Millisecond
	}
	if o.MaxPause <= 0 {
		o.MaxPause = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Author.Name == "" {
		o.Author = mvcc.Identity{Name: o.Branch, Email: "gitcd@trishanku.org"}
	}
	return o
}

// Taken is the branch as it was taken.
type Taken struct {
	// Epoch is what the store and the exchange are to be opened with.
	Epoch int64
	// Head is the branch's, in the repository.
	Head gitobj.ID
	// Offline says that the upstream was out of reach: the holder goes on with what it has.
	Offline bool
	// HandedIn is the side branch that writes of a lost epoch went to. Empty if there were none.
	HandedIn string
}

// epochRef is where a repository keeps the commit that took its epoch.
const epochRef = "refs/gitcd/epoch"

// taker takes one branch.
type taker struct {
	repo Repository
	up   Upstream
	o    TakeOptions
	ref  string
}

// Take makes the repository's branch this holder's. It decides by what it finds:
//
//	repository   upstream's branch            does
//	own head     absent, or in our history    goes on in the same epoch, if the holder is the same, else takes the next
//	own head     out of reach                 goes on, offline, if the holder is the same
//	own head     somebody else's              hands in what was not pushed, then as with no head
//	no head      there                        fetches it, and takes the next epoch by compare-and-swap
//	no head      absent, main there           begins at main, with epoch 1
//	no head      absent, no main, genesis     begins with an empty tree, and pushes nothing yet
//	no head      absent, no main              waits for main
func Take(ctx context.Context, repo Repository, up Upstream, o TakeOptions) (Taken, error) {
	t := &taker{repo: repo, up: up, o: o.withDefaults(), ref: heads + o.Branch}
	pause := &pause{min: t.o.MinPause, max: t.o.MaxPause, chance: rand.Float64} // it only spreads retries
	until := t.o.Clock.Now().Add(t.o.Patience)
	for {
		taken, err := t.try(ctx)
		if err == nil {
			return taken, nil
		}
		retry := (*retryError)(nil)
		if !errors.As(err, &retry) || ctx.Err() != nil {
			return Taken{}, fmt.Errorf("take %s: %w", o.Branch, err)
		}
		if taken, ok := t.offline(); ok && retry.unreachable && !t.o.Clock.Now().Before(until) {
			t.o.Log.Warn("the upstream is out of reach; going on with what is here", "branch", o.Branch, "err", err)
			return taken, nil
		}
		t.o.Log.Info("waiting to take the branch", "branch", o.Branch, "because", err.Error())
		sleep(ctx, t.o.Clock, pause.next())
	}
}

// retryError is worth another try.
type retryError struct {
	error
	unreachable bool // nothing was heard of the upstream
}

// Unwrap returns the cause.
func (e *retryError) Unwrap() error { return e.error }

// again marks what may be different in a moment. A refusal for want of a right is not.
func again(err error) error {
	if status := (*transport.StatusError)(nil); errors.As(err, &status) && status.Code >= 400 && status.Code < 500 {
		return err
	}
	return &retryError{error: err}
}

// offline returns the branch as the repository has it, if the same holder can go on with it.
func (t *taker) offline() (Taken, bool) {
	head, ok := t.repo.Ref(t.ref)
	epoch, holder := t.last()
	return Taken{Epoch: epoch, Head: head, Offline: true}, ok && epoch > 0 && holder == t.o.Holder
}

// last returns the epoch that the repository was last taken with, 0 if it never was.
func (t *taker) last() (epoch int64, holder string) {
	id, ok := t.repo.Ref(epochRef)
	if !ok {
		return 0, ""
	}
	c, err := commitOf(t.repo, id)
	if err != nil {
		return 0, ""
	}
	return Writer(c)
}

// try takes the branch by what is found now.
func (t *taker) try(ctx context.Context) (Taken, error) {
	ctx, cancel := within(ctx, t.o.Clock, t.o.Timeout)
	defer cancel()
	theirs, main, err := t.look(ctx)
	if err != nil {
		return Taken{}, err
	}
	if head, ok := t.repo.Ref(t.ref); ok {
		return t.goOn(ctx, head, theirs)
	}
	return t.begin(ctx, gitobj.Zero, theirs, main)
}

// look asks the upstream for the branch and main.
func (t *taker) look(ctx context.Context) (theirs, main gitobj.ID, err error) {
	call, cancel := within(ctx, t.o.Clock, t.o.Patience)
	defer cancel()
	found, err := t.up.ListRefs(call, t.ref, Main)
	if err != nil {
		err = again(fmt.Errorf("read the upstream's refs: %w", reason(call, err)))
		if retry := (*retryError)(nil); errors.As(err, &retry) {
			retry.unreachable = true
		}
	}
	return found[t.ref], found[Main], err
}

// goOn is for a repository that has the branch.
func (t *taker) goOn(ctx context.Context, head, theirs gitobj.ID) (Taken, error) {
	epoch, holder := t.last()
	same := epoch > 0 && holder == t.o.Holder
	ours, err := t.holds(ctx, head, theirs)
	if err != nil {
		return Taken{}, err
	}
	if ours && same {
		return Taken{Epoch: epoch, Head: head}, nil
	}
	// The store may have to make commits again that were pushed before a crash, or never were.
	if t.o.Flush == nil {
		return Taken{}, errors.New("the repository has writes of another epoch, and no way to commit them was given")
	}
	if head, err = t.o.Flush(ctx, epoch, holder); err != nil {
		return Taken{}, fmt.Errorf("commit what epoch %d wrote: %w", epoch, err)
	}
	if !theirs.IsZero() {
		if _, err := fetchCommit(ctx, t.repo, t.up, theirs, head); err != nil {
			return Taken{}, again(err)
		}
	}
	if ours, err = t.holds(ctx, head, theirs); err != nil {
		return Taken{}, err
	}
	switch {
	case ours && same:
		return Taken{Epoch: epoch, Head: head}, nil
	case ours && theirs.IsZero(): // the exchange pushes it, once the hold is over
		o, err := t.commit(head, epoch+1)
		if err != nil {
			return Taken{}, err
		}
		return Taken{Epoch: epoch + 1, Head: o.ID}, t.keep(ctx, head, o)
	case ours:
		return t.epoch(ctx, head, head, theirs, epoch)
	}
	lost := &FencedError{Branch: t.o.Branch, Epoch: epoch, Holder: holder, Head: theirs}
	handedIn, err := handOver(ctx, t.repo, t.up, head, lost)
	if err != nil {
		return Taken{}, again(fmt.Errorf("hand in what epoch %d had not pushed: %w", epoch, reason(ctx, err)))
	}
	taken, err := t.begin(ctx, head, theirs, gitobj.Zero)
	taken.HandedIn = handedIn
	return taken, err
}

// holds says whether the upstream's head, if any, is in the history of ours.
func (t *taker) holds(ctx context.Context, head, theirs gitobj.ID) (bool, error) {
	if theirs.IsZero() || head == theirs {
		return true, nil
	}
	if !t.repo.Has(theirs) {
		return false, nil
	}
	return contains(ctx, t.repo, head, theirs)
}

// begin takes the branch from where the upstream is. was is the repository's head.
func (t *taker) begin(ctx context.Context, was, theirs, main gitobj.ID) (Taken, error) {
	from := theirs
	switch {
	case !theirs.IsZero():
	case !main.IsZero():
		from = main
	case t.o.Genesis:
		return t.genesis(ctx)
	default:
		return Taken{}, again(errors.New("neither the branch nor main exists upstream; main begins when the front door is ready"))
	}
	if _, err := fetchCommit(ctx, t.repo, t.up, from, was); err != nil {
		return Taken{}, again(err)
	}
	last, err := lastEpoch(t.repo, theirs)
	if err != nil {
		return Taken{}, err
	}
	return t.epoch(ctx, was, from, theirs, last)
}

// epochSearch is how far back an epoch is looked for in a branch whose head,
// against law X2, was pushed by hand.
const epochSearch = 10_000

// lastEpoch returns the epoch of a branch, 0 if there is no branch.
func lastEpoch(repo Repository, head gitobj.ID) (int64, error) {
	for range epochSearch {
		if head.IsZero() {
			break
		}
		c, err := commitOf(repo, head)
		if err != nil {
			return 0, err
		}
		if epoch, _ := Writer(c); epoch > 0 {
			return epoch, nil
		}
		head = gitobj.Zero
		if len(c.Parents) > 0 {
			head = c.Parents[0]
		}
	}
	return 0, nil
}

// epoch pushes a commit that takes the next epoch: who pushes first has the
// branch. Only then is it the repository's.
func (t *taker) epoch(ctx context.Context, was, on, theirs gitobj.ID, last int64) (Taken, error) {
	o, err := t.commit(on, last+1)
	if err != nil {
		return Taken{}, err
	}
	if _, err := t.repo.Append(ctx, []journal.Frame{{Objects: []transport.Object{o}}}, false); err != nil {
		return Taken{}, fmt.Errorf("store the epoch's commit: %w", err)
	}
	items, err := transport.Missing(ctx, t.repo, []gitobj.ID{o.ID}, []gitobj.ID{on, theirs})
	if err != nil {
		return Taken{}, fmt.Errorf("list what to push: %w", err)
	}
	if err := t.up.Push(ctx, t.repo, []transport.Command{{Name: t.ref, Old: theirs, New: o.ID}}, items); err != nil {
		return Taken{}, t.refused(ctx, theirs, fmt.Errorf("push epoch %d: %w", last+1, reason(ctx, err)))
	}
	return Taken{Epoch: last + 1, Head: o.ID}, t.keep(ctx, was, o)
}

// refused says whether a push that failed is worth another try: not if the
// upstream refuses it though the branch is where it was.
func (t *taker) refused(ctx context.Context, theirs gitobj.ID, err error) error {
	if rejected := (*transport.RejectedError)(nil); !errors.As(err, &rejected) {
		return again(err)
	}
	now, _, lookErr := t.look(ctx)
	if lookErr != nil || now != theirs {
		return again(err)
	}
	return err
}

// genesis begins with an empty tree. The exchange pushes it, once the hold is over.
func (t *taker) genesis(ctx context.Context) (Taken, error) {
	empty := transport.Object{Kind: gitobj.KindTree, ID: gitobj.Hash(gitobj.KindTree, nil)}
	o := t.encode(gitobj.Commit{Tree: empty.ID}, 1)
	return Taken{Epoch: 1, Head: o.ID}, t.keep(ctx, gitobj.Zero, empty, o)
}

// commit makes the commit that takes an epoch, on a head.
func (t *taker) commit(on gitobj.ID, epoch int64) (transport.Object, error) {
	parent, err := commitOf(t.repo, on)
	if err != nil {
		return transport.Object{}, err
	}
	c := gitobj.Commit{Tree: parent.Tree, Parents: []gitobj.ID{on}}
	c.Committer.When = parent.Committer.When // not before this
	return t.encode(c, epoch), nil
}

func (t *taker) encode(c gitobj.Commit, epoch int64) transport.Object {
	when := t.o.Clock.Now()
	if when.Before(c.Committer.When) {
		when = c.Committer.When
	}
	when = time.Unix(when.Unix(), 0).UTC()
	c.Author = gitobj.Signature{Name: t.o.Author.Name, Email: t.o.Author.Email, When: when}
	c.Committer = gitobj.Signature{Name: t.o.Holder, Email: t.o.Author.Email, When: when}
	c.Message = fmt.Sprintf("take the branch for epoch %d\n\nEpoch: %d\nHolder: %s\n", epoch, epoch, t.o.Holder)
	data := c.Encode()
	return transport.Object{Kind: gitobj.KindCommit, ID: gitobj.Hash(gitobj.KindCommit, data), Data: data}
}

// keep stores objects and moves the branch to the last one, which is the epoch's commit, durably.
func (t *taker) keep(ctx context.Context, was gitobj.ID, objects ...transport.Object) error {
	id := objects[len(objects)-1].ID
	before, _ := t.repo.Ref(epochRef)
	frame := journal.Frame{Objects: objects, Refs: []journal.RefUpdate{
		{Name: t.ref, Old: was, New: id},
		{Name: epochRef, Old: before, New: id},
	}}
	if _, err := t.repo.Append(context.WithoutCancel(ctx), []journal.Frame{frame}, true); err != nil {
		return fmt.Errorf("store the epoch's commit: %w", err)
	}
	return nil
}
