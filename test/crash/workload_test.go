// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// clients are those who use a store until it is cut off.
type clients struct {
	*told
	b *branch.Branch
	// failed is told what must not happen to a client.
	failed func(format string, args ...any)
}

// keys are few, so that changes meet: of each grain, and such that one is a directory of another.
func keys(random *rand.Rand) string {
	switch n := random.IntN(40); {
	case n < 3:
		return "/registry/leases/d/" + fmt.Sprint(n)
	case n < 5:
		return "/registry/health/" + fmt.Sprint(n)
	case n < 8:
		return []string{"a", "a/b", "a//b"}[n-5]
	default:
		return fmt.Sprintf("/registry/pods/d%d/p%d", n%3, n)
	}
}

// run has clients at work until each has done its share, or the store has failed.
func (c *clients) run(ctx context.Context, random *rand.Rand, writers, each int) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var watching, writing sync.WaitGroup
	watching.Go(func() { c.watch(ctx) })
	watching.Go(func() { c.heads(ctx) })
	for i := range writers {
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		writing.Go(func() {
			for range each {
				if c.b.Store.Healthy() != nil {
					return
				}
				c.one(ctx, own, i)
			}
		})
	}
	writing.Wait()
	stop()
	watching.Wait()
}

// one does one thing.
func (c *clients) one(ctx context.Context, random *rand.Rand, who int) {
	switch n := random.IntN(100); {
	case n < 62:
		c.txn(ctx, random, who)
	case n < 70:
		c.grant(ctx)
	case n < 74:
		c.revoke(ctx, random)
	case n < 80:
		c.flush(ctx)
	case n < 85:
		c.compaction(ctx, random)
	case n < 90:
		if err := c.b.Journal.Publish(ctx); err != nil && c.b.Journal.Err() == nil && ctx.Err() == nil {
			c.tell(func() { c.failed("publish: %v", err) })
		}
	case n < 93 && who == 0: // one merger
		c.join(ctx, random)
	default:
		c.read(ctx, random)
	}
}

// refused are the errors that say that nothing was done.
var refused = []error{mvcc.ErrLeaseNotFound, mvcc.ErrStale, mvcc.ErrCompacted, mvcc.ErrFutureRev}

// ended notes how an attempt ended. An error that does not say that nothing was done leaves that open.
func (c *clients) ended(a *attempt, revision int64, err error) {
	if err == nil {
		c.done(a, revision, false)
		return
	}
	for _, r := range refused {
		if errors.Is(err, r) {
			c.done(a, 0, true)
			return
		}
	}
	if c.b.Store.Healthy() == nil && !errors.Is(err, mvcc.ErrClosed) {
		c.tell(func() { c.failed("%s: %v", a.id, err) })
	}
}

func (c *clients) txn(ctx context.Context, random *rand.Rand, who int) {
	a := &attempt{id: c.name("txn")}
	mark := mvcc.Op{Put: &mvcc.Put{Key: fmt.Sprintf("%s%d", marks, who), Value: []byte(a.id)}}
	t := mvcc.Txn{Then: []mvcc.Op{mark}, Else: []mvcc.Op{mark}}
	used := map[string]bool{}
	for n := random.IntN(4); n >= 0; n-- {
		key := keys(random)
		if used[key] {
			continue
		}
		used[key] = true
		if random.IntN(5) == 0 {
			t.Then = append(t.Then, mvcc.Op{Delete: &mvcc.Delete{Key: key}})
			continue
		}
		p := &mvcc.Put{Key: key, Value: value(random, a.id, n)}
		if ids := c.usable(); len(ids) > 0 && random.IntN(4) == 0 {
			p.Lease = ids[random.IntN(len(ids))]
		}
		t.Then = append(t.Then, mvcc.Op{Put: p})
	}
	if random.IntN(8) == 0 {
		t.Else = append(t.Else, mvcc.Op{Delete: &mvcc.Delete{Key: "/registry/pods/d1/", End: "/registry/pods/d10"}})
	}
	if random.IntN(2) == 0 {
		key := keys(random)
		_, mod, err := c.b.Store.KeyState(key)
		if err != nil {
			return
		}
		t.If = []mvcc.Compare{{Key: key, Target: mvcc.CompareMod, Number: mod}}
	}
	a.txn = &t
	c.try(a)
	r, err := c.b.Store.Txn(ctx, t)
	c.ended(a, r.Revision, err)
}

// value returns a value that no other attempt writes: JSON, text, or many bytes.
func value(random *rand.Rand, id string, n int) []byte {
	switch random.IntN(6) {
	case 0:
		return fmt.Appendf(nil, "%s part %d", id, n)
	case 1:
		b := fmt.Appendf(nil, "%s %d ", id, n)
		for range random.IntN(3000) {
			b = append(b, byte(random.Uint32()))
		}
		return b
	default:
		return fmt.Appendf(nil, `{"id":%q,"part":%d,"of":{"list":[1,2,%d]}}`, id, n, random.IntN(100))
	}
}

func (c *clients) grant(ctx context.Context) {
	a := &attempt{id: c.name("grant")}
	if _, err := fmt.Sscanf(a.id, "grant-%d", &a.grant); err != nil {
		c.failed("%v", err)
		return
	}
	c.try(a)
	_, err := c.b.Store.Grant(ctx, a.grant, 10_000)
	c.ended(a, 0, err)
}

func (c *clients) revoke(ctx context.Context, random *rand.Rand) {
	ids := c.usable()
	if len(ids) == 0 {
		return
	}
	a := &attempt{id: c.name("revoke"), revoke: ids[random.IntN(len(ids))]}
	c.try(a)
	_, err := c.b.Store.Revoke(ctx, a.revoke)
	c.ended(a, 0, err) // it takes a revision only if the lease had keys
}

func (c *clients) flush(ctx context.Context) {
	head, err := c.b.Store.Flush(ctx)
	if err == nil && !head.IsZero() {
		c.tell(func() { c.told.heads[head] = true; c.flushed = head })
	}
}

// compaction compacts what the watcher has seen.
func (c *clients) compaction(ctx context.Context, random *rand.Rand) {
	rev := int64(0)
	c.tell(func() {
		if from := max(c.compact[1], 1); c.watched > from {
			rev = from + random.Int64N(c.watched-from)
			c.compact[1] = max(c.compact[1], rev)
		}
	})
	if rev == 0 {
		return
	}
	if _, err := c.b.Store.Compact(ctx, rev, random.IntN(2) == 0); err == nil {
		c.tell(func() { c.compact[0] = max(c.compact[0], rev) })
	}
}

func (c *clients) read(ctx context.Context, random *rand.Rand) {
	r, err := c.b.Store.Range(ctx, mvcc.RangeRequest{Key: keys(random), End: "\x00"})
	if err == nil {
		c.tell(func() { c.seen = max(c.seen, r.Revision) })
	}
}

// watch keeps the log of what was seen.
func (c *clients) watch(ctx context.Context) {
	s := c.b.Store.Watch()
	defer s.Close()
	c.mu.Lock()
	start := c.watched + 1
	c.mu.Unlock()
	s.Create(mvcc.WatchRequest{Key: "\x00", End: "\x00", Start: start})
	for {
		r, err := s.Next(ctx)
		if err != nil {
			return
		}
		c.tell(func() {
			if r.Canceled {
				c.failed("watch from %d was canceled: %+v", start, r)
			}
			for _, e := range r.Events {
				ev := eventOf(e)
				c.log[ev.mod] = append(c.log[ev.mod], ev)
				c.watched = max(c.watched, ev.mod)
			}
			c.seen = max(c.seen, c.watched)
		})
		if r.Canceled {
			return
		}
	}
}

// heads notes each head.
func (c *clients) heads(ctx context.Context) {
	for {
		changed := c.b.Store.HeadChanged()
		if head := c.b.Store.Head(); !head.IsZero() {
			c.tell(func() { c.told.heads[head] = true })
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// join merges a commit that somebody else has made on the head.
func (c *clients) join(ctx context.Context, random *rand.Rand) {
	view, err := c.b.Store.MergeView(ctx)
	if err != nil || view.Head.IsZero() {
		return
	}
	a := &attempt{id: c.name("merge")}
	changes := []mvcc.KeyChange{{Key: marks + "merge", Value: []byte(a.id)}}
	used := map[string]bool{}
	for n := random.IntN(5); n > 0; n-- {
		key := keys(random)
		if used[key] || layout.DefaultGrains().Of(key) == layout.Local {
			continue
		}
		used[key] = true
		k := mvcc.KeyChange{Key: key, Delete: random.IntN(3) == 0 && view.ModRevision(key) > 0}
		if !k.Delete {
			k.Value = value(random, a.id, n)
		}
		changes = append(changes, k)
	}
	for i := range changes {
		changes[i].Expect = view.ModRevision(changes[i].Key)
	}
	theirs, err := c.theirs(ctx, view.Head, changes, random.IntN(2) == 0)
	if err != nil {
		if c.b.Store.Healthy() == nil && c.b.Journal.Err() == nil {
			c.tell(func() { c.failed("make a commit to merge: %v", err) })
		}
		return
	}
	a.merge = changes
	c.try(a)
	r, err := c.b.Store.Merge(ctx, mvcc.Merge{Theirs: theirs, Base: view.Head, Changes: changes, Message: "merge " + a.id + "\n"})
	c.ended(a, r.Revision, err)
}

// theirs makes the commit, with the same changes or, if it is to be a true merge, with one more.
func (c *clients) theirs(ctx context.Context, head gitobj.ID, changes []mvcc.KeyChange, more bool) (gitobj.ID, error) {
	_, data, err := c.b.Journal.Get(head)
	if err != nil {
		return gitobj.Zero, err
	}
	commit, err := gitobj.DecodeCommit(data)
	if err != nil {
		return gitobj.Zero, err
	}
	var objects []journal.Object
	add := func(kind gitobj.Kind, data []byte) gitobj.ID {
		id := gitobj.Hash(kind, data)
		objects = append(objects, pack.Object{Kind: kind, ID: id, Data: data})
		return id
	}
	edit := treeedit.New(c.b.Journal, commit.Tree)
	for _, k := range changes {
		if k.Delete {
			err = errors.Join(err, edit.Delete(ctx, k.Key))
		} else {
			err = errors.Join(err, edit.Set(ctx, k.Key, add(gitobj.KindBlob, layout.Blob(k.Value))))
		}
	}
	if more {
		err = errors.Join(err, edit.Set(ctx, "theirs", add(gitobj.KindBlob, layout.Blob(changes[0].Value))))
	}
	if err != nil {
		return gitobj.Zero, err
	}
	tree, err := edit.Write(ctx, func(o treeedit.Object) error {
		objects = append(objects, pack.Object{Kind: o.Kind, ID: o.ID, Data: o.Data})
		return nil
	})
	if err != nil {
		return gitobj.Zero, err
	}
	who := gitobj.Signature{Name: "theirs", Email: "theirs@example.invalid", When: commit.Committer.When}
	theirs := gitobj.Commit{Tree: tree, Parents: []gitobj.ID{head}, Author: who, Committer: who, Message: string(changes[0].Value) + "\n"}
	id := add(gitobj.KindCommit, theirs.Encode())
	_, err = c.b.Journal.Append(ctx, []journal.Frame{{Objects: objects}}, false)
	return id, err
}
