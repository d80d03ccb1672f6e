// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// ErrNotEmpty says that a store to be filled has something already.
var ErrNotEmpty = errors.New("the store is not empty")

// Image is all that there is to be known of a store, of another one or of
// another kind: what Past gives.
type Image struct {
	// Revision is the last one, Compacted the oldest that can be read; 0 is all.
	Revision, Compacted int64
	// Leases need their id, what was granted and what remains; 0 is all.
	Leases []Lease
	// Each yields the changes, by revision and by their place in it. What is yielded is kept only until it returns.
	Each func(ctx context.Context, yield func(Change) error) error
}

// loadChanges and loadBytes bound what is loaded with one batch.
const (
	loadChanges = 1000
	loadBytes   = 2 << 20
)

// Load fills a new store with an image: keys, history, leases and revisions are
// as they were there. If it fails the store is of no use.
func (s *Store) Load(ctx context.Context, img Image) error {
	first := &loadTask{waiter: newWaiter(), leases: img.Leases, first: true}
	if err := s.load(ctx, first); err != nil {
		return err
	}
	next := &loadTask{waiter: newWaiter()}
	size := 0
	err := img.Each(ctx, func(c Change) error {
		if len(next.changes) > 0 && (len(next.changes) >= loadChanges || size >= loadBytes) &&
			next.changes[len(next.changes)-1].mod != c.KV.ModRevision {
			if err := s.load(ctx, next); err != nil {
				return err
			}
			next, size = &loadTask{waiter: newWaiter()}, 0
		}
		size += len(c.KV.Value)
		next.changes = append(next.changes, newLoadChange(c))
		return nil
	})
	if err != nil {
		return err
	}
	next.revision, next.compacted = img.Revision, img.Compacted
	return s.load(ctx, next)
}

func (s *Store) load(ctx context.Context, t *loadTask) error {
	if err := s.do(ctx, t, t.waiter); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return t.err
}

// loadChange is a change with its blob.
type loadChange struct {
	op
	content, value []byte
}

func newLoadChange(c Change) loadChange {
	o := op{kind: opDelete, key: c.KV.Key, mod: c.KV.ModRevision, placed: true, sub: uint32(c.Sub)} //nolint:gosec // a revision has fewer than 4G changes
	if c.Deleted {
		return loadChange{op: o}
	}
	value := append([]byte(nil), c.KV.Value...)
	content := layout.Blob(value)
	o.kind, o.create, o.ver, o.lease = opPut, c.KV.CreateRevision, c.KV.Version, c.KV.Lease
	o.blob, o.size = gitobj.Hash(gitobj.KindBlob, content), int64(len(value))
	return loadChange{op: o, content: content, value: value}
}

// loadTask does changes as they were, a transaction for each revision.
type loadTask struct {
	waiter
	first               bool
	leases              []Lease
	changes             []loadChange
	revision, compacted int64 // of the last one; else 0
	err                 error
}

func (t *loadTask) perform(l *line, b *batch) {
	if t.err = l.admit(b, loadBytes); t.err != nil {
		return
	}
	if t.first && (l.state.rev > 1 || l.state.live.Len() > 0 || len(l.state.leases.list()) > 0) {
		t.err = fmt.Errorf("load: it is at revision %d with %d keys: %w", l.state.rev, l.state.live.Len(), ErrNotEmpty)
		return
	}
	c := l.begin(b)
	for _, lease := range t.leases {
		c.apply(op{kind: opGrant, lease: lease.ID, ttl: lease.Granted})
		if lease.Remaining > 0 && lease.Remaining < lease.Granted {
			c.apply(op{kind: opRemain, lease: lease.ID, ttl: lease.Remaining})
		}
	}
	for i := range t.changes {
		if i > 0 && t.changes[i].mod != t.changes[i-1].mod {
			c.end()
			c = l.begin(b)
		}
		c.load(&t.changes[i])
	}
	if t.compacted > 0 {
		c.apply(op{kind: opCompact, mod: t.compacted})
	}
	if t.revision > 0 {
		c.apply(op{kind: opForward, mod: t.revision})
	}
	c.end()
}

// load applies a change as it was. The deletion of what is not known any more leaves nothing.
func (c *change) load(from *loadChange) {
	if from.kind == opDelete {
		if c.l.state.get(from.key) != nil {
			c.apply(from.op)
		}
		return
	}
	ev := c.apply(from.op)
	in := &cached{owner: ev.after, bytes: from.value}
	ev.after.value.Store(in)
	c.b.fresh = append(c.b.fresh, in)
	c.b.objects = append(c.b.objects, Object{Kind: gitobj.KindBlob, ID: from.blob, Data: from.content})
	c.b.bytes += len(from.content)
}
