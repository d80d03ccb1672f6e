// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pull

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// The reasons for which a pull is refused.
var (
	// ErrNoBranch says that the other repository does not have the branch.
	ErrNoBranch = errors.New("the branch is not there")
	// ErrUnrelated says that the two branches have no commit in common.
	ErrUnrelated = errors.New("the histories have nothing in common")
	// errNeverStill says that keys change faster than a merge is computed.
	errNeverStill = errors.New("keys change faster than they can be merged; it will be tried again")
)

// attempts is how often a merge is computed before it is given up.
const attempts = 16

// Store is the branch that is served, a *mvcc.Store.
type Store interface {
	// MergeView commits all that was acknowledged, and returns the head and the keys in it.
	MergeView(ctx context.Context) (mvcc.MergeView, error)
	// Merge joins a commit, or says with an error that is mvcc.ErrStale that keys moved meanwhile.
	Merge(ctx context.Context, m mvcc.Merge) (mvcc.MergeResult, error)
}

// Repository is where objects and refs are, a *journal.Journal.
type Repository interface {
	transport.Repository
	// Ref returns what a ref points to.
	Ref(name string) (gitobj.ID, bool)
	// Append writes the frames, all or nothing.
	Append(ctx context.Context, frames []journal.Frame, durable bool) ([]journal.Place, error)
}

// Remote is the other repository, a *transport.Client.
type Remote interface {
	// ListRefs returns the refs whose names begin with one of the prefixes.
	ListRefs(ctx context.Context, prefixes ...string) (map[string]gitobj.ID, error)
	// Fetch brings what the wants reach and the store lacks, verified and complete.
	Fetch(ctx context.Context, store transport.Objects, wants, haves []gitobj.ID) ([]transport.Object, error)
}

// Options configures New. Branch, Name and From are needed.
type Options struct {
	// Branch is the one that is merged into, without refs/heads/.
	Branch string
	// Name of the remote, and From its branch.
	Name, From string
	// NoFastForward makes a merge commit even where the branch could move to theirs.
	NoFastForward bool
	// Unrelated allows to merge a history that has nothing in common.
	Unrelated bool
	// Timeout is how long one request may take. Default 5 min.
	Timeout time.Duration
	// Chance spreads the pauses between pulls: a number from 0 to less than 1. Default: a random one.
	Chance func() float64
	// As is what their branch is called in Settings and conflicts. Default From. If that is Branch, both are
	// copies of one branch.
	As string
	// Settings say how the two branches meet. A peer that pulls from here needs equal ones.
	Settings merge.Settings
	// Clock is the time. Default the machine's.
	Clock clock.WithTicker
	// Log is told of what comes and what goes wrong. Default: nobody.
	Log *slog.Logger
}

// Result says what a pull came to.
type Result struct {
	// Relation says how the two heads stood.
	Relation merge.Relation
	// Theirs is their head, Head ours afterwards.
	Theirs, Head gitobj.ID
	// Keys is how many were changed, Conflicts how many conflicts the merge decided.
	Keys, Conflicts int
	// Revision is the last one afterwards.
	Revision int64
}

// Puller merges one branch of one remote. It is not safe for concurrent use.
type Puller struct {
	store   Store
	repo    Repository
	remote  Remote
	o       Options
	history *merge.History
	hints   chan struct{} // holds one token when somebody says that there are news
	done    gitobj.ID     // their head that was merged last
}

// New returns a puller.
func New(store Store, repo Repository, remote Remote, o Options) *Puller {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Minute
	}
	o.As = cmp.Or(o.As, o.From)
	if o.Chance == nil {
		o.Chance = rand.Float64 // it only spreads requests
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Puller{store: store, repo: repo, remote: remote, o: o, history: merge.NewHistory(repo), hints: make(chan struct{}, 1)}
}

// Hint says that the remote may have news: it is asked now.
func (p *Puller) Hint() {
	select {
	case p.hints <- struct{}{}:
	default:
	}
}

// Run pulls at once and then every so often, until the context ends. Peers
// that pull from each other do not do it in one moment, again and again.
func (p *Puller) Run(ctx context.Context, every time.Duration) error {
	told := ""
	pause := every
	for {
		r, err := p.Once(ctx)
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		switch {
		case errors.Is(err, mvcc.ErrFailed) || errors.Is(err, mvcc.ErrClosed) || errors.Is(err, journal.ErrFailed):
			return err // nothing can be kept any more
		case err != nil && err.Error() != told:
			told = err.Error()
			p.o.Log.Warn("pull failed and will be tried again", "branch", p.o.Branch, "remote", p.o.Name, "err", err)
		case err == nil:
			told, pause = "", every
			if r.Keys > 0 || r.Relation > merge.OursAhead {
				p.o.Log.Info("pulled", "branch", p.o.Branch, "remote", p.o.Name, "was", r.Relation.String(), "theirs", r.Theirs.String(),
					"keys", r.Keys, "conflicts", r.Conflicts, "revision", r.Revision)
			}
		}
		wait := time.Duration((0.75 + p.o.Chance()/2) * float64(pause))
		if err != nil {
			pause = min(2*pause, max(every, min(10*every, mostPause)))
			if answer := (*transport.StatusError)(nil); errors.As(err, &answer) {
				wait = max(wait, answer.RetryAfter)
			}
		}
		p.sleep(ctx, wait)
	}
}

// mostPause bounds how long a remote that fails is left alone: ten intervals, and no longer than this.
const mostPause = 5 * time.Minute

// sleep waits, for a hint, or until the context ends.
func (p *Puller) sleep(ctx context.Context, d time.Duration) {
	timer := p.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-p.hints:
	case <-ctx.Done():
	}
}

// Once pulls once.
func (p *Puller) Once(ctx context.Context) (Result, error) {
	r, err := p.pull(ctx)
	if err != nil {
		return r, fmt.Errorf("pull %s of %s into %s: %w", p.o.From, p.o.Name, p.o.Branch, err)
	}
	return r, nil
}

func (p *Puller) pull(ctx context.Context) (Result, error) {
	theirs, err := p.head(ctx)
	if err != nil {
		return Result{}, err
	}
	if theirs == p.done {
		return Result{Relation: merge.OursAhead, Theirs: theirs}, nil
	}
	if err := p.fetch(ctx, theirs); err != nil {
		return Result{Theirs: theirs}, err
	}
	for range attempts {
		r, err := p.join(ctx, theirs)
		if err == nil {
			p.done = theirs
		}
		if !errors.Is(err, mvcc.ErrStale) {
			return r, err
		}
	}
	return Result{Theirs: theirs}, errNeverStill
}

// head asks where their branch is.
func (p *Puller) head(ctx context.Context) (gitobj.ID, error) {
	call, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	refs, err := p.remote.ListRefs(call, "refs/heads/"+p.o.From)
	if id := refs["refs/heads/"+p.o.From]; err == nil && !id.IsZero() {
		return id, nil
	}
	if err == nil {
		refs, err = p.remote.ListRefs(call, "refs/heads/") // to say which there are
	}
	if err != nil {
		return gitobj.Zero, fmt.Errorf("%w; check the network, the URL and the credentials", err)
	}
	names := []string{}
	for name := range refs {
		names = append(names, strings.TrimPrefix(name, "refs/heads/"))
	}
	slices.Sort(names)
	if len(names) == 0 {
		return gitobj.Zero, fmt.Errorf("%w: the repository has no branches", ErrNoBranch)
	}
	return gitobj.Zero, fmt.Errorf("%w; there are %s", ErrNoBranch, strings.Join(names[:min(len(names), 10)], ", "))
}

// fetch makes their commit our own, and notes it as the remote's branch.
func (p *Puller) fetch(ctx context.Context, theirs gitobj.ID) error {
	ref := "refs/remotes/" + p.o.Name + "/" + p.o.From
	was, _ := p.repo.Ref(ref)
	if was == theirs {
		return nil
	}
	var frame journal.Frame
	if !p.repo.Has(theirs) {
		haves := []gitobj.ID{}
		for _, name := range []string{ref, "refs/heads/" + p.o.Branch} {
			if id, ok := p.repo.Ref(name); ok {
				haves = append(haves, id)
			}
		}
		call, cancel := context.WithTimeout(ctx, p.o.Timeout)
		defer cancel()
		came, err := p.remote.Fetch(call, p.repo, []gitobj.ID{theirs}, haves)
		if err != nil {
			return err
		}
		frame.Objects = came
	}
	frame.Refs = []journal.RefUpdate{{Name: ref, Old: was, New: theirs}}
	if _, err := p.repo.Append(ctx, []journal.Frame{frame}, false); err != nil { // the merge behind it is durable
		return fmt.Errorf("keep what was fetched: %w", err)
	}
	return nil
}
