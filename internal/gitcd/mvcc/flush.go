// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Head returns the last commit, zero if there is none yet. It may not be
// durable: Flush makes it so.
func (s *Store) Head() gitobj.ID {
	if s.committer == nil {
		return gitobj.Zero
	}
	s.committer.published.Lock()
	defer s.committer.published.Unlock()
	return s.committer.published.head
}

// HeadChanged returns a channel that is closed when the head moves next.
func (s *Store) HeadChanged() <-chan struct{} {
	if s.committer == nil {
		return nil
	}
	s.committer.published.Lock()
	defer s.committer.published.Unlock()
	return s.committer.published.changed
}

// Flush commits everything that was acknowledged, also of grain Batch, makes
// the commits durable and returns the head.
func (s *Store) Flush(ctx context.Context) (gitobj.ID, error) {
	v, err := s.commitAll(ctx, true)
	return v.Head, err
}

// MergeView is a commit and the keys as they are in it. A merger computes
// against the commit and says with the revisions what it has seen.
type MergeView struct {
	Head     gitobj.ID
	Revision int64
	index    index
	store    *Store
	waiting  map[string]struct{} // keys of the tree
}

// Waits says whether a change of a key of the tree waits for a commit, and is not in the head.
func (v MergeView) Waits(tree string) bool {
	_, ok := v.waiting[tree]
	return ok
}

// ModRevision returns the revision that last set a key of the tree, 0 if it does not exist or is not served.
func (v MergeView) ModRevision(tree string) int64 {
	key, ok := v.store.keyOf(tree)
	if !ok {
		return 0
	}
	if ver := v.index.get(key); ver != nil {
		return ver.mod
	}
	return 0
}

// MergeView commits everything, as Flush does, and returns the head together
// with the keys that are in it. Commits that are not durable yet are made again
// after a crash, with the same ids: who merges does not wait for a sync.
func (s *Store) MergeView(ctx context.Context) (MergeView, error) { return s.commitAll(ctx, false) }

// PatientView is MergeView, but lets what is of grain Batch wait for its
// commit. A merge that was computed with it and touches none of these keys
// leaves them waiting: see Merge.Leave.
func (s *Store) PatientView(ctx context.Context) (MergeView, error) {
	if s.committer == nil || s.mapped {
		return s.MergeView(ctx)
	}
	return s.view(ctx, &flushTask{waiter: newWaiter(), reached: make(chan error, 1), leaves: true})
}

func (s *Store) commitAll(ctx context.Context, durable bool) (MergeView, error) {
	if s.committer == nil {
		return MergeView{}, errNoHistory
	}
	return s.view(ctx, &flushTask{waiter: newWaiter(), reached: make(chan error, 1), durable: durable})
}

func (s *Store) view(ctx context.Context, t *flushTask) (MergeView, error) {
	if err := s.do(ctx, t, t.waiter); err != nil {
		return MergeView{}, err
	}
	select {
	case err := <-t.reached:
		return t.view, err
	case <-ctx.Done():
		return MergeView{}, ctx.Err()
	}
}

type flushTask struct {
	waiter
	view    MergeView
	durable bool // whether the commits are to be
	leaves  bool // what is of grain Batch
	reached chan error
}

func (t *flushTask) perform(l *line, b *batch) {
	switch {
	case !t.leaves && (l.open.any() || len(b.record.txns) > 0):
		b.record.txns = append(b.record.txns, txnRecord{flags: endsCommit | takesBatched})
	case t.leaves && (l.open.full || len(b.record.txns) > 0):
		b.record.txns = append(b.record.txns, txnRecord{flags: endsCommit})
	}
	b.full = true
	at := l.state.view
	at.index = at.copy()
	b.tokens = append(b.tokens, token{
		reach: func(c *committer, _ *batch) error {
			if err := c.write(t.durable); err != nil {
				return err
			}
			t.view = MergeView{Head: c.head, Revision: at.rev, index: at.index, store: l.store, waiting: map[string]struct{}{}}
			for tree := range c.dirty {
				t.view.waiting[tree] = struct{}{}
			}
			t.reached <- nil
			return nil
		},
		fail: func(err error) { t.reached <- err },
	})
}
