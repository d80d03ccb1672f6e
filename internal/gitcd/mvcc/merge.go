// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

var errNoHistory = errors.New("the store is in memory alone: it has no commits to flush or merge")

// KeyChange is what a merge does to one key.
type KeyChange struct {
	Key string
	// Expect is the mod revision of the key that the merge was computed with, 0 if it did not exist.
	Expect int64
	Value  []byte
	Delete bool

	blob    gitobj.ID
	content []byte
}

// Merge joins another branch's history to this one.
type Merge struct {
	// Theirs is the commit to be joined; the log must have it. Base is the merge base.
	Theirs, Base gitobj.ID
	Changes      []KeyChange
	// Message is the commit's; the first line is its subject.
	Message string
}

// MergeResult says what a merge came to.
type MergeResult struct {
	Head     gitobj.ID
	Revision int64
	// FastForward says that the head moved to theirs without a commit.
	FastForward bool
}

// Merge applies a merge: one commit with two parents, and one revision for
// each key that changes. If a key's revision is not the one expected, nothing is
// done, and the StaleError says which keys to merge again. Changes of keys of
// grain Local are left out: they are nobody else's business.
//
// If the result is theirs' tree and the head was the base, the head moves to
// theirs without a commit.
func (s *Store) Merge(ctx context.Context, m Merge) (MergeResult, error) {
	if s.committer == nil {
		return MergeResult{}, errNoHistory
	}
	if _, err := s.committer.commitOf(m.Theirs); err != nil {
		return MergeResult{}, fmt.Errorf("merge %s: %w; fetch it first", m.Theirs, err)
	}
	m.Changes = slices.DeleteFunc(slices.Clone(m.Changes), func(k KeyChange) bool {
		return s.o.Grains.Of(k.Key) == layout.Local
	})
	for i := range m.Changes {
		if k := &m.Changes[i]; !k.Delete {
			k.content = layout.Blob(k.Value)
			k.blob = gitobj.Hash(gitobj.KindBlob, k.content)
		}
	}
	t := &mergeTask{merge: m, waiter: newWaiter(), reached: make(chan error, 1)}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return MergeResult{}, err
	}
	if t.refused != nil {
		return MergeResult{}, fmt.Errorf("merge %s: %w", m.Theirs, t.refused)
	}
	if len(t.stale) > 0 {
		return MergeResult{}, &StaleError{Keys: t.stale}
	}
	select {
	case err := <-t.reached:
		return t.result, err
	case <-ctx.Done():
		return MergeResult{}, ctx.Err()
	}
}

type mergeTask struct {
	waiter
	merge   Merge
	refused error
	stale   []string
	result  MergeResult
	reached chan error
}

func (t *mergeTask) cost() (n int64) {
	for _, k := range t.merge.Changes {
		if !k.Delete {
			n += putOverhead + int64(len(k.Key)+len(k.Value))
		}
	}
	return n
}

func (t *mergeTask) perform(l *line, b *batch) {
	t.stale = nil
	if t.refused = l.admit(b, t.cost()); t.refused != nil {
		return
	}
	for _, k := range t.merge.Changes {
		if modOf(l.state.get(k.Key)) != k.Expect {
			t.stale = append(t.stale, k.Key)
		}
	}
	if len(t.stale) > 0 {
		return
	}
	c := l.begin(b)
	c.rec.flags |= isMerge | endsCommit
	c.rec.theirs, c.rec.base, c.rec.message = t.merge.Theirs, t.merge.Base, t.merge.Message
	for _, k := range t.merge.Changes {
		was := l.state.get(k.Key)
		c.rev = l.state.rev + 1
		switch {
		case k.Delete && was != nil:
			c.remove(k.Key)
		case !k.Delete && (was == nil || was.blob != k.blob):
			c.put(k.Key, k.Value, k.blob, k.content, 0)
		}
	}
	c.end()
	t.result.Revision = l.state.rev
	b.full = true
	b.tokens = append(b.tokens, token{reach: t.reach, fail: func(err error) { t.reached <- err }})
}

func (t *mergeTask) reach(c *committer, _ *batch) error {
	if err := c.write(true); err != nil {
		return err
	}
	t.result.Head, t.result.FastForward = c.head, c.head == t.merge.Theirs
	t.reached <- nil
	return nil
}

func modOf(v *version) int64 {
	if v == nil {
		return 0
	}
	return v.mod
}

// merge commits a merge. Everything before it is committed.
func (c *committer) merge(t *txnRecord, now int64, at place) error {
	theirs, err := c.commitOf(t.theirs)
	if err != nil {
		return err
	}
	for i := range t.ops {
		c.note(&t.ops[i])
	}
	tree, err := c.edit()
	if err != nil {
		return err
	}
	clear(c.dirty)
	c.full = false
	if tree == theirs.Tree && (c.head == t.base || c.head.IsZero()) {
		c.head, c.tree = t.theirs, tree
		c.second = max(c.second, theirs.Committer.When.Unix())
		c.move(at)
		return nil
	}
	c.add(tree, []gitobj.ID{c.head, t.theirs}, t.message, now, at)
	return nil
}
