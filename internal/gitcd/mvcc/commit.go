// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// verb is what happened to a key since the last commit.
type verb uint8

const (
	created verb = iota + 1
	updated
	deleted
)

// dirtyKey is a change that is not committed yet.
type dirtyKey struct {
	verb verb
	blob gitobj.ID
}

// note adds a change to those to be committed.
func (c *committer) note(o *op) {
	key, gone := o.key, o.kind == opDelete || o.kind == opTreeDelete
	switch o.kind {
	case opPut, opDelete:
		at, ok := c.store.treeKey(o.key)
		if !ok || o.grain == layout.Local {
			return
		}
		key = at
	case opTreePut, opTreeDelete:
	default:
		return
	}
	c.full = c.full || o.grain == layout.Full
	was, seen := c.dirty[key]
	now := dirtyKey{verb: updated, blob: o.blob}
	switch {
	case gone && seen && was.verb == created:
		delete(c.dirty, key) // came and went
		return
	case gone:
		now = dirtyKey{verb: deleted}
	case seen && was.verb == created, !seen && o.ver == 1:
		now.verb = created
	}
	c.dirty[key] = now
}

// commit makes a commit of what is noted, if there is anything.
func (c *committer) commit(now int64, at place) error {
	if len(c.dirty) == 0 {
		c.full = false
		return nil
	}
	defer c.measure(c.store.clock.Now())
	tree, err := c.edit()
	if err != nil {
		return err
	}
	c.add(tree, []gitobj.ID{c.head}, subject(c.named()), now, at)
	clear(c.dirty)
	c.full = false
	return nil
}

// measure notes what a commit took.
func (c *committer) measure(began time.Time) {
	took := int64(c.store.clock.Since(began))
	c.store.stats.Commit.Observe(time.Duration(took))
	c.cost.Add((took - c.cost.Load()) / 8)
}

// edit applies what is noted to the tree.
func (c *committer) edit() (gitobj.ID, error) {
	ctx := context.Background()
	for key, d := range c.dirty {
		var err error
		if d.verb == deleted {
			err = c.editor.Delete(ctx, key)
		} else {
			err = c.editor.Set(ctx, key, d.blob)
		}
		if err != nil {
			return gitobj.Zero, err
		}
	}
	return c.editor.Write(ctx, func(o treeedit.Object) error {
		c.frame.Objects = append(c.frame.Objects, Object(o))
		c.trees[o.ID] = o.Data
		c.size += len(o.Data)
		return nil
	})
}

// add puts a commit on the head.
func (c *committer) add(tree gitobj.ID, parents []gitobj.ID, message string, now int64, at place) {
	if parents[0].IsZero() {
		parents = parents[1:]
	}
	c.second = max(c.second, now/int64(time.Second))
	when := time.Unix(c.second, 0).UTC()
	commit := gitobj.Commit{
		Tree: tree, Parents: parents, Message: c.sign(message),
		Author:    gitobj.Signature{Name: c.session.name, Email: c.session.email, When: when},
		Committer: gitobj.Signature{Name: c.session.holder, Email: c.session.email, When: when},
	}
	data := commit.Encode()
	id := gitobj.Hash(gitobj.KindCommit, data)
	c.frame.Objects = append(c.frame.Objects, Object{Kind: gitobj.KindCommit, ID: id, Data: data})
	c.size += len(data)
	c.head, c.tree = id, tree
	c.move(at)
}

// move says in the next frame how far the commits are.
func (c *committer) move(at place) {
	c.frame.Record = commitRecord{upTo: at, head: c.head}.encode()
}

// write appends what was made since the last write.
func (c *committer) write(durable bool) error {
	if c.frame.Record == nil {
		if !durable || c.flushed {
			return nil
		}
		_, err := c.store.log.Append(context.Background(), nil, true)
		c.flushed = err == nil
		return err
	}
	if c.from != c.head {
		c.frame.Refs = []RefUpdate{{Name: c.store.o.Branch, Old: c.from, New: c.head}}
	}
	if _, err := c.store.log.Append(context.Background(), []Frame{c.frame}, durable); err != nil {
		return fmt.Errorf("append commits: %w", err)
	}
	c.frame, c.size, c.from, c.flushed = Frame{}, 0, c.head, durable
	clear(c.trees)
	c.publish()
	return nil
}

// publish makes the head known.
func (c *committer) publish() {
	c.published.Lock()
	defer c.published.Unlock()
	if c.published.head == c.head {
		return
	}
	c.published.head = c.head
	close(c.published.changed)
	c.published.changed = make(chan struct{})
}

// enter begins a session, and commits that its writer has taken the branch.
func (c *committer) enter(s *session) error {
	at := place{batch: s.number}
	if !c.at.before(at) {
		c.session = *s
		return nil
	}
	if err := c.commit(s.time, place{batch: at.batch, txn: -1}); err != nil {
		return err
	}
	c.session, c.at = *s, at
	if !s.take {
		return nil
	}
	tree, err := c.editor.Write(context.Background(), func(o treeedit.Object) error {
		c.frame.Objects = append(c.frame.Objects, Object(o))
		return nil
	})
	if err != nil {
		return err
	}
	c.add(tree, []gitobj.ID{c.head}, fmt.Sprintf("take the branch for epoch %d", s.epoch), s.time, at)
	return nil
}
