// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// Repository is the hub's durable home of objects and refs, a *journal.Journal.
// It is safe for concurrent use.
type Repository interface {
	transport.Repository
	// Ref returns what a ref points to.
	Ref(name string) (gitobj.ID, bool)
	// Append writes the frames, all or nothing, and returns, if durable, after
	// a sync that covers them. A ref that is not at its Old is a *journal.RefConflictError.
	Append(ctx context.Context, frames []journal.Frame, durable bool) ([]journal.Place, error)
}

// Options configures a Hub. The zero value is a good production setting.
type Options struct {
	// Identify says who sends a request. Default CommonName.
	Identify func(*http.Request) (string, error)
	// Genesis is the branch that main begins with. Default: whichever is pushed first.
	Genesis string
	// Settings say how branches meet main. Heavens hear them at the beginning of each watch stream. Default: gitcd's own.
	Settings merge.Settings
	// Limits bound a push.
	Limits transport.Limits
	// Heartbeat is how often a watch stream says that it lives. Default 10 s.
	Heartbeat time.Duration
	// LazyWait is how long pushes that may wait, of leases and heartbeats, are
	// gathered before a pass is made for them alone. Default 30 s; negative: they do not wait.
	LazyWait time.Duration
	// Retry is when a branch that could not be merged is tried again, without a
	// push. Default 30 s.
	Retry time.Duration
	// Clock is for heartbeats, retries and the times in the status. Default the real one.
	Clock clock.WithTicker
	// Gates say what branches may change in main. Default: everything.
	Gates gate.Set
	// Approvers may decide on what is in quarantine, besides Admin. Default: nobody.
	Approvers []string
	// Forge says, for the status, how far the forge is. Default: there is none.
	Forge func() any
	// Log is told of what goes wrong. Default: nobody.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Identify == nil {
		o.Identify = CommonName
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.LazyWait == 0 {
		o.LazyWait = 30 * time.Second
	}
	if o.Retry <= 0 {
		o.Retry = 30 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Hub serves one repository and merges its branches into main.
type Hub struct {
	repo    Repository
	git     *transport.Server // of repo
	o       Options
	board   *board
	lineage *lineage
	pulses  *pulses
	traffic traffic
	wake    chan struct{} // holds one token when branches are waiting for a pass

	failed   chan error    // holds why the repository takes nothing any more, once a push has found out
	stopping chan struct{} // closed when Run returns: streams end
	stop     sync.Once

	// Run owns what follows.
	view    *view
	history *merge.History
	editor  *treeedit.Editor // of main's tree
	keeper  keeper

	// mu guards what follows.
	mu       sync.Mutex
	reported []record               // conflicts that heavens met, for the next pass to file
	pending  map[string]struct{}    // refs of branches that the next pass looks at
	patient  map[string]struct{}    // those of them that wait for company
	waiting  time.Time              // since when the first of these waits
	branches map[string]branchState // ref -> what Status tells of it
	merged   mergeState
	tally    tally      // of conflicts
	decided  []decision // what people made of conflicts, for Run to write down
	rulings  []ruling   // what people made of what is in quarantine, likewise
}

// view is what a pass sees: what it makes, over the repository. It outlives
// the pass in what the merger and the editor remember.
type view struct {
	repo transport.Objects
	fold *fold
}

// Get reads what the pass made, or the repository.
func (v *view) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if v.fold != nil {
		if o, ok := v.fold.made[id]; ok {
			return o.Kind, o.Data, nil
		}
	}
	return v.repo.Get(id)
}

// branchState is what only the hub's own memory knows of a branch.
type branchState struct {
	lastPush time.Time
	lastErr  string
}

// mergeState is what only the hub's own memory knows of main.
type mergeState struct {
	passes, commits, conflicts int64
	lastErr                    string
	lastMerge                  time.Time
}

// New returns a hub of the repository. Run must run for branches to be merged.
func New(repo Repository, o Options) *Hub {
	h := &Hub{
		repo:     remember(repo),
		o:        o.withDefaults(),
		wake:     make(chan struct{}, 1),
		failed:   make(chan error, 1),
		stopping: make(chan struct{}),
		lineage:  newLineage(),
		pulses:   newPulses(),
		pending:  map[string]struct{}{},
		patient:  map[string]struct{}{},
		branches: map[string]branchState{},
	}
	h.view = &view{repo: h.repo}
	h.git = transport.NewServer(h.repo, transport.ServerOptions{Receiver: h, Limits: h.o.Limits, Head: Main, Agent: "gitcd-hub"})
	h.history, h.editor = merge.NewHistory(h.view), treeedit.New(h.view, gitobj.Zero)
	refs := repo.Refs("refs/")
	h.board = newBoard(refs)
	h.tally.load(h.repo, refs[Conflicts], h.o.Log)
	h.keeper = newKeeper(h.o.Gates, h.view)
	if err := h.keeper.load(context.Background(), h.repo, refs); err != nil {
		h.o.Log.Error("what is in quarantine cannot be read; it stays there, and is not listed", "err", err)
	}
	for ref := range refs {
		if mergeable(ref) { // what was pushed before a restart may not have been merged
			h.pending[ref] = struct{}{}
		}
	}
	h.signal()
	return h
}

// Handler serves the repository at /repo.git, the watch stream at /v1/watch
// and the status at /v1/status.
func (h *Hub) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/repo.git/", http.StripPrefix("/repo.git", h.git))
	mux.HandleFunc("GET /v1/watch", h.watch)
	mux.HandleFunc("POST /v1/beats", h.serveBeats)
	mux.HandleFunc("GET /v1/status", h.serveStatus)
	mux.HandleFunc("GET /v1/quarantine", h.listQuarantine)
	mux.HandleFunc("POST /v1/quarantine", h.ruleQuarantine)
	mux.HandleFunc("GET /v1/conflicts", h.listConflicts)
	mux.HandleFunc("GET /v1/conflicts/{id}", h.showConflict)
	mux.HandleFunc("POST /v1/conflicts/{id}/resolve", h.resolveConflict)
	return h.traffic.counted(h.authenticated(mux))
}

// authenticated lets in who has a name.
func (h *Hub) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := h.o.Identify(r)
		if err == nil && name != Admin && !IsBranch(name) {
			err = fmt.Errorf("common name %.80q is neither a branch nor %s: %w", name, Admin, ErrForbidden)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(withPeer(r.Context(), name)))
	})
}

// commit writes objects and moves refs, durably. A ref that is not at its Old is transport.ErrStale.
func (h *Hub) commit(ctx context.Context, objects []transport.Object, moves []transport.Command) error {
	refs := make([]journal.RefUpdate, len(moves))
	for i, m := range moves {
		refs[i] = journal.RefUpdate(m)
	}
	_, err := h.repo.Append(ctx, []journal.Frame{{Objects: objects, Refs: refs}}, true)
	if conflict := (*journal.RefConflictError)(nil); errors.As(err, &conflict) {
		return fmt.Errorf("%w: %w", transport.ErrStale, err)
	}
	return err
}

// signal wakes the merge loop.
func (h *Hub) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run merges until the context ends, or until the repository has failed and
// must be opened anew. It owns main and conflicts: at most one Run of a repository.
func (h *Hub) Run(ctx context.Context) error {
	defer h.stop.Do(func() { close(h.stopping) })
	var retry, company <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.pulses.knocked:
			h.hear(ctx)
			continue
		case <-h.wake:
		case <-company:
		case <-retry:
			retry = nil
		case err := <-h.failed:
			return err
		}
		company = nil
		h.decide(ctx)
		h.rule(ctx)
		if wait := h.patience(); wait > 0 {
			company = h.o.Clock.After(wait)
			continue
		}
		again, err := h.pass(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if retry = nil; again {
			retry = h.o.Clock.After(h.o.Retry)
		}
	}
}
