// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

var errNoHistory = errors.New("the store is in memory alone: it has no commits to flush or merge")

// KeyChange is what a merge does to one key.
type KeyChange struct {
	// Key is the one in the tree.
	Key string
	// Expect is the mod revision of the key that the merge was computed with, 0 if it did not exist.
	Expect int64
	Value  []byte
	Delete bool

	own     string // the key as clients know it, if it is served
	served  bool
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
	// Whole takes theirs' tree as it is, with what is no key's: the head is Base, and Changes are all from there to
	// theirs. Seen is the revision of the view that it was computed with; if there is a later one, nothing is done.
	Whole bool
	Seen  int64
	// Leave has what waits for its commit wait on, if the merge was computed with a PatientView.
	Leave bool
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
// grain Local are left out: they are nobody else's business. Changes of keys that
// are not served here go into the tree alone.
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
	m.Changes = slices.Clone(m.Changes)
	for i := range m.Changes {
		k := &m.Changes[i]
		k.own, k.served = s.keyOf(k.Key)
	}
	m.Changes = slices.DeleteFunc(m.Changes, func(k KeyChange) bool {
		return k.served && s.o.Grains.Of(k.own) == layout.Local
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
	if len(t.stale) > 0 || t.moved {
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
	moved   bool // something was written since the merge was computed
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
		if k.served && modOf(l.state.get(k.own)) != k.Expect {
			t.stale = append(t.stale, k.own)
		}
	}
	t.moved = t.merge.Whole && l.state.rev != t.merge.Seen
	if len(t.stale) > 0 || t.moved {
		return
	}
	c := l.begin(b)
	c.rec.flags |= isMerge | endsCommit
	c.rec.theirs, c.rec.base, c.rec.message = t.merge.Theirs, t.merge.Base, t.merge.Message
	if t.merge.Whole {
		c.rec.flags |= takesTheirs
	}
	for i := range t.merge.Changes {
		c.mergeKey(&t.merge.Changes[i], t.merge.Whole)
	}
	again := l.waits(b, t.merge.Leave)
	if len(again.ops) > 0 {
		c.rec.flags |= leavesBatched
	}
	c.end()
	if len(again.ops) > 0 {
		b.record.txns = append(b.record.txns, again)
	}
	t.result.Revision = l.state.rev
	b.full = true
	b.tokens = append(b.tokens, token{reach: t.reach, fail: func(err error) { t.reached <- err }})
}

// waits returns the transaction that has again what waits for a commit, and is
// to wait on: none if there is something that is not of grain Batch.
func (l *line) waits(b *batch, leave bool) (again txnRecord) {
	if !leave || l.store.mapped {
		return again
	}
	open := l.open
	open.keys = maps.Clone(open.keys)
	for i := range b.record.txns {
		open.follow(&b.record.txns[i])
	}
	if open.full {
		return again
	}
	for _, key := range slices.Sorted(maps.Keys(open.keys)) {
		o := op{kind: opTreeDelete, grain: layout.Batch, key: key}
		if v := l.state.get(key); v != nil {
			o.kind, o.blob = opTreePut, v.blob
		}
		again.ops = append(again.ops, o)
	}
	return again
}

// mergeKey applies one change of a merge, which gets a revision of its own.
func (c *change) mergeKey(k *KeyChange, whole bool) {
	if !k.served {
		if !whole {
			c.mergeTree(k)
		}
		return
	}
	was := c.l.state.get(k.own)
	c.rev = c.l.state.rev + 1
	switch {
	case k.Delete && was != nil:
		c.remove(k.own)
	case !k.Delete && (was == nil || was.blob != k.blob):
		c.put(k.own, k.Value, k.blob, k.content, 0)
	case !k.Delete && was.aside && !whole:
		c.mergeTree(k) // the store had it already, the tree had not
	}
}

// mergeTree applies a change of a key that the tree has and the store does not serve.
func (c *change) mergeTree(k *KeyChange) {
	o := op{kind: opTreeDelete, key: k.Key}
	if !k.Delete {
		o.kind, o.blob = opTreePut, k.blob
		c.b.objects = append(c.b.objects, Object{Kind: gitobj.KindBlob, ID: k.blob, Data: k.content})
	}
	c.rec.ops = append(c.rec.ops, o)
	c.b.bytes += len(k.Key) + len(k.content) + 64
}

func (t *mergeTask) reach(c *committer, _ *batch) error {
	if err := c.write(false); err != nil { // the record is durable, and makes the commit again
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
	if t.flags&takesTheirs != 0 && (c.head == t.base || c.head.IsZero()) {
		c.editor.Reset(theirs.Tree)
		c.forward(t.theirs, theirs, at)
		return nil
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
		c.forward(t.theirs, theirs, at)
		return nil
	}
	c.add(tree, []gitobj.ID{c.head, t.theirs}, t.message, now, at)
	return nil
}

// forward moves the head to theirs, whose tree the editor has.
func (c *committer) forward(id gitobj.ID, theirs gitobj.Commit, at place) {
	c.head, c.tree = id, theirs.Tree
	c.second = max(c.second, theirs.Committer.When.Unix())
	c.move(at)
}
