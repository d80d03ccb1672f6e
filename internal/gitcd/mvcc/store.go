// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Options configures Open.
type Options struct {
	// Branch is the full name of the ref that is this store's line, such as refs/heads/heavens/apiserver.
	// Default refs/heads/main.
	Branch string
	// Epoch is the fencing number of this writer. A new one gets a commit that says so. 0 is no fencing.
	Epoch int64
	// Author is whom commits are by: the component. Default gitcd.
	Author Identity
	// Holder is the process that writes; it becomes the committer. Default the author's name.
	Holder string
	// Grains say how much Git history keys get. Default layout.DefaultGrains.
	Grains layout.Grains
	// Keys say where keys lie in the tree. A store that is opened with others than before begins a new line of revisions
	// above the old one. Nil: where they say; a store that had others is then refused.
	Keys Keys
	// Start says how a branch is begun that has commits, but no revisions yet.
	Start Start
	// Unserved is told the paths of what is in the branch's tree, and is no key's, when the tree is read as a whole.
	Unserved func(path string)
	// ValueBudget is how many bytes of values are kept in memory. Default 16 MiB.
	ValueBudget int64
	// BatchInterval is how long a change of grain Batch waits for company. Default 10 s.
	BatchInterval time.Duration
	// MinLeaseTTL is the shortest life of a lease, in seconds. Default 2.
	MinLeaseTTL int64
	// CheckpointBytes is after how many bytes of op records the index is saved. Default 16 MiB.
	CheckpointBytes int64
	// Quota is how many bytes may be used before AlarmNoSpace is raised; 0 is no bound.
	Quota int64
	// Size returns how many bytes are used. It is called by the line: it must be quick. Default: Store.HeldBytes.
	Size func() int64
	// AutoCompact says what is compacted without being asked for. Default: nothing.
	AutoCompact AutoCompact
	// InspectInterval is how often all values are read and compared with their hashes. Default 24 h; negative: never.
	InspectInterval time.Duration
	// ReadOnly opens the store as it is, for reading: nothing is written, and every change is refused.
	ReadOnly bool
	// Clock is the time. Default the machine's.
	Clock clock.Clock
}

// Start says how a branch is begun that has commits, but no revisions yet.
type Start struct {
	// Revision is the least that the first one will be.
	Revision int64
	// History is how many commits, from the head back along first parents, get revisions of their own: one for each key that they changed.
	History int
}

// Identity is a person or component, as Git names them.
type Identity struct{ Name, Email string }

func (o Options) withDefaults() Options {
	if o.Branch == "" {
		o.Branch = "refs/heads/main"
	}
	if o.Author.Name == "" {
		o.Author = Identity{Name: "gitcd", Email: "gitcd@trishanku.org"}
	}
	if o.Holder == "" {
		o.Holder = o.Author.Name
	}
	if o.Grains == nil {
		o.Grains = layout.DefaultGrains()
	}
	if o.ValueBudget == 0 {
		o.ValueBudget = 16 << 20
	}
	if o.BatchInterval == 0 {
		o.BatchInterval = 10 * time.Second
	}
	if o.MinLeaseTTL == 0 {
		o.MinLeaseTTL = 2
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = 16 << 20
	}
	if o.InspectInterval == 0 {
		o.InspectInterval = inspectInterval
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Store is the state of one branch: its keys, their history since the last
// compaction, its leases and its watches.
type Store struct {
	o      Options
	mapped bool // keys lie elsewhere than they say
	log    Log  // nil: nothing outlives the process, and there are no commits
	clock  clock.Clock
	vals   *values
	leases *leases
	hub    *watchHub

	line      *line
	committer *committer // nil without a log

	current    atomic.Pointer[view] // what readers see
	unrecorded atomic.Uint32        // the alarms that there was no room to record
	held       atomic.Int64         // bytes: see HeldBytes
	broken     atomic.Pointer[error]
	failed     chan struct{} // closed when broken is set
	stats      Stats

	stop     chan struct{}
	running  sync.WaitGroup // line, syncer, committer
	trimming trims
	saves    checkpoints
}

// Open brings up the store that a log holds, or a new one with no keys at
// revision 1. A log without op records, such as a clone, gives each key of the
// branch's tree a revision above epoch<<40, with everything older compacted.
//
// Without a log the store is in memory alone and dies with the process.
func Open(ctx context.Context, log Log, o Options) (*Store, error) {
	if o.ReadOnly && log != nil {
		log = untouched{log}
	}
	s := &Store{o: o.withDefaults(), log: log, failed: make(chan struct{}), stop: make(chan struct{})}
	s.clock = s.o.Clock
	s.mapped = s.keysText() != ""
	s.vals = &values{log: log, budget: s.o.ValueBudget}
	s.leases = newLeases(s.clock)
	s.hub = &watchHub{stats: &s.stats}
	s.hub.mu.streams = map[*WatchStream]struct{}{}

	r := &recovery{store: s, state: state{view: view{index: newIndex(), rev: 1}, leases: s.leases}}
	if log != nil {
		if err := r.run(ctx); err != nil {
			return nil, fmt.Errorf("open store of %s: %w", s.o.Branch, err)
		}
	}
	s.start(r)
	return s, nil
}

func (s *Store) start(r *recovery) {
	v := r.state.view
	v.index = v.copy()
	s.current.Store(&v)
	s.hub.mu.window, s.hub.mu.rev, s.hub.mu.compacted = r.window, v.rev, v.compacted

	written := make(chan *batch, inFlight)
	s.leases.resume()
	s.held.Store(v.countHeld())
	if s.o.Size == nil {
		s.o.Size = s.HeldBytes
	}
	s.line = &line{store: s, state: r.state, sealed: v, written: written, seq: r.seq}
	s.line.inbox.wake = make(chan struct{}, 1)
	s.line.pending, s.line.settled = &batch{}, make(chan struct{}, 1)
	if s.o.ReadOnly {
		s.line.inbox.shut(ErrReadOnly)
		return
	}
	if s.log != nil {
		s.committer = r.committer
		s.line.open = openAfter(r.committer)
		for _, b := range r.uncommitted {
			for i := range b.record.txns {
				s.line.open.follow(&b.record.txns[i])
			}
			s.committer.follow(b)
		}
		if s.line.open.any() {
			s.line.waitSince = s.clock.Now()
		}
		s.saves.bytes.Store(int64(r.bytes))
		s.saves.last = r.saved
		s.running.Go(s.committer.run)
	}
	s.running.Go(func() {
		s.syncer(written)
		if s.committer != nil {
			s.committer.close()
		}
	})
	s.running.Go(func() { s.line.run(s.stop) })
	s.keepUp()
}

// fail makes the store refuse every change from now on. It returns what it says then.
func (s *Store) fail(cause error) error {
	err := fmt.Errorf("%w: %w; restart gitcd once the disk is sound: nothing acknowledged is lost", ErrFailed, cause)
	if !s.broken.CompareAndSwap(nil, &err) {
		return *s.broken.Load()
	}
	close(s.failed)
	for _, t := range s.line.inbox.shut(err) {
		t.done(err)
	}
	s.hub.fail(err)
	return err
}

// failure returns why the store refuses changes, nil if it does not.
func (s *Store) failure() error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Healthy returns nil if the store takes changes, else why not.
func (s *Store) Healthy() error { return s.failure() }

// Failed returns a channel that is closed when the store fails. Healthy says why it did.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close commits what is not committed, saves the index, and ends all streams. Everything acknowledged was durable before.
func (s *Store) Close(ctx context.Context) error {
	if s.o.ReadOnly {
		s.hub.fail(ErrClosed)
		return nil
	}
	var errs []error
	if s.log != nil && s.failure() == nil {
		if _, err := s.Flush(ctx); err != nil && !errors.Is(err, ErrClosed) {
			errs = append(errs, err)
		} else if err == nil {
			errs = append(errs, s.checkpointNow(ctx))
		}
	}
	left := s.line.inbox.shut(ErrClosed)
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	for _, t := range left {
		t.done(ErrClosed)
	}
	s.hub.fail(ErrClosed)
	s.running.Wait()
	s.trimming.wait()
	return errors.Join(errs...)
}

// Range reads keys.
func (s *Store) Range(ctx context.Context, r RangeRequest) (RangeResult, error) {
	s.stats.Ranges.Add(1)
	v := *s.current.Load()
	keys, count, err := s.collect(ctx, v, r)
	if err != nil {
		return RangeResult{}, err
	}
	return s.vals.finish(r, v.rev, keys, count)
}

// collect reads an index. What a compaction freed meanwhile was perhaps not
// seen, so that a read before the compacted revision fails even if it began in time.
func (s *Store) collect(ctx context.Context, v view, r RangeRequest) ([]found, int64, error) {
	keys, count, err := v.collect(ctx, r)
	if err == nil && r.Revision > 0 && r.Revision < s.current.Load().compacted {
		err = ErrCompacted
	}
	return keys, count, err
}

// Status is a summary of a store.
type Status struct {
	Revision, Compacted int64
	Epoch               int64
	Keys                int64
	// Head is the last commit, and Uncommitted how many transactions it lacks.
	Head        gitobj.ID
	Uncommitted int64
}

// Status returns a summary.
func (s *Store) Status() Status {
	v := s.current.Load()
	out := Status{Revision: v.rev, Compacted: v.compacted, Epoch: s.o.Epoch, Keys: int64(v.live.Len()), Head: s.Head()}
	if s.committer != nil {
		out.Uncommitted = s.committer.backlog.Load()
	}
	return out
}

// Revision returns the revision that readers see.
func (s *Store) Revision() int64 { return s.current.Load().rev }

// CompactRevision returns the oldest revision that can still be read.
func (s *Store) CompactRevision() int64 { return s.current.Load().compacted }

// KeyState returns a key's value and the revision that set it: nil and 0 if the key does not exist.
func (s *Store) KeyState(key string) (value []byte, modRevision int64, err error) {
	ver := s.current.Load().get(key)
	if ver == nil {
		return nil, 0, nil
	}
	value, err = s.vals.load(ver)
	return value, ver.mod, err
}
