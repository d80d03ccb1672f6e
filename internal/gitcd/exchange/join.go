// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// attempts is how often a merge is computed before a writer that is faster
// gets a pause.
const attempts = 16

// errNeverStill says that the keys of a merge change faster than it is computed.
var errNeverStill = errors.New("keys change faster than they can be merged")

// join merges a commit of main into the store.
func (x *Exchange) join(ctx context.Context, theirs gitobj.ID) error {
	for range attempts {
		done, err := x.tryJoin(ctx, theirs)
		if err != nil {
			return fmt.Errorf("merge main into %s: %w", x.o.Branch, err)
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("merge main into %s: %w", x.o.Branch, errNeverStill)
}

// Use takes the settings that the hub merges by: both ends of a merge go by
// the same, or they would differ about a conflict. It is safe for concurrent use.
func (x *Exchange) Use(s merge.Settings) {
	if !reflect.DeepEqual(*x.settings.Load(), s) {
		x.settings.Store(&s)
		x.news.signal() // what a filter left out of main may be let in now
	}
}

// policy is that of the settings as they are now.
func (x *Exchange) policy() merge.Policy {
	now := x.settings.Load()
	if x.using != now { // bases that were worked out by other rules do not count
		x.using, x.history = now, merge.NewHistory(x.repo)
	}
	return now.Policy(x.o.Branch, merge.MainBranch, merge.MainBranch)
}

// planJoin computes a merge. Lazy changes may wait on, so that a heaven that
// does nothing but live follows main without a commit, unless main has changed their keys, too.
func (x *Exchange) planJoin(ctx context.Context, theirs gitobj.ID, p merge.Policy) (view mvcc.MergeView, m merge.Merged, leave bool, err error) {
	if x.o.Beside != nil {
		if view, err = x.o.Beside.PatientView(ctx); err != nil {
			return view, m, false, fmt.Errorf("read the store: %w", err)
		}
		m, err = x.history.Merge(ctx, view.Head, theirs, p)
		if err != nil || !slices.ContainsFunc(m.Changes, func(c merge.Change) bool { return view.Waits(c.Key) }) {
			return view, m, true, err
		}
	}
	if view, err = x.store.MergeView(ctx); err != nil {
		return view, m, false, fmt.Errorf("read the store: %w", err)
	}
	m, err = x.history.Merge(ctx, view.Head, theirs, p)
	return view, m, false, err
}

// tryJoin computes a merge and hands it to the store, which refuses it if a
// key was written meanwhile.
func (x *Exchange) tryJoin(ctx context.Context, theirs gitobj.ID) (done bool, err error) {
	p := x.policy() // first: new settings bring a new history
	view, m, leave, err := x.planJoin(ctx, theirs, p)
	if err != nil {
		return false, err
	}
	switch m.Relation {
	case merge.Equal, merge.OursAhead:
		return true, nil
	case merge.TheirsAhead, merge.Diverged, merge.Unrelated:
	}
	in := mvcc.Merge{Theirs: theirs, Leave: leave, Changes: make([]mvcc.KeyChange, 0, len(m.Changes))}
	if len(m.Bases) > 0 {
		in.Base = m.Bases[0]
	}
	for _, c := range m.Changes {
		value, err := c.Content(x.repo)
		if err != nil {
			return false, err
		}
		in.Changes = append(in.Changes, mvcc.KeyChange{Key: c.Key, Expect: view.ModRevision(c.Key), Value: value, Delete: c.Delete})
	}
	when, err := commitOf(x.repo, theirs)
	if err != nil {
		return false, err
	}
	in.Message, err = Message("merge main into "+x.o.Branch, m, merge.Occasion{
		Who: x.o.Branch, When: when.Committer.When, Bases: m.Bases,
		Ours: view.Head, Theirs: theirs, OurBranch: x.o.Branch, TheirBranch: merge.MainBranch,
	})
	if err != nil {
		return false, err
	}
	if _, err := x.store.Merge(ctx, in); errors.Is(err, mvcc.ErrStale) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	x.urgent = x.urgent || len(m.Conflicts) > 0
	x.note(func(s *Status) {
		s.Merges++
		s.Conflicts += int64(len(m.Conflicts))
	})
	return true, nil
}
