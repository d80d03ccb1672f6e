// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// batchBytes is how much a batch takes before the next one is begun.
const batchBytes = 4 << 20

// batch is what becomes durable with one append.
type batch struct {
	record  batchRecord
	objects []Object
	bytes   int

	events  []event
	fresh   []*cached // values to be counted once they are durable
	tasks   []task
	tokens  []token  // for the committer, behind the transactions
	revoked []*lease // by the transactions, in order, should they be taken back
	view    view     // after the batch
	seq     uint64   // of the record in the log
	size    int      // of the record
	full    bool     // nothing more may enter

	session *session // of a batch that is only for the committer
}

// empty says whether there is nothing to append and nobody to answer.
func (b *batch) empty() bool { return len(b.tasks) == 0 && len(b.record.txns) == 0 }

// token is passed to the committer in its turn, with the view of its batch.
type token struct {
	reach func(c *committer, b *batch) error
	fail  func(error)
}

// task is something for the line to do.
type task interface {
	// perform decides and changes the line's state. What it answers is kept until done.
	perform(l *line, b *batch)
	// done is called once, when the batch is durable, or with the error that keeps it from that.
	done(err error)
}

// change is a transaction being decided: ops are applied one by one.
type change struct {
	l   *line
	b   *batch
	rec txnRecord
	rev int64 // of what it changes

	aside bool // it stays out of the tree
}

func (l *line) begin(b *batch) *change { return &change{l: l, b: b, rev: l.state.rev + 1} }

// end records the transaction, if it did anything.
func (c *change) end() {
	if len(c.rec.ops) > 0 || c.rec.flags&isMerge != 0 {
		c.b.record.txns = append(c.b.record.txns, c.rec)
	}
}

// revision is what a result says: that of the change, once there is one.
func (c *change) revision() int64 { return c.l.state.rev }

// apply does an op and keeps it for the record.
func (c *change) apply(o op) event {
	if o.grain = c.l.store.o.Grains.Of(o.key); c.aside {
		o.grain = layout.Local
	}
	c.rec.ops = append(c.rec.ops, o)
	c.b.bytes += len(o.key) + 64
	ev, changed := c.l.state.apply(&o)
	if changed {
		c.b.events = append(c.b.events, ev)
	}
	return ev
}

// put sets a key. blob and content are the value's, if it is new.
func (c *change) put(key string, value []byte, blob gitobj.ID, content []byte, id LeaseID) {
	o := op{kind: opPut, key: key, mod: c.rev, create: c.rev, ver: 1, lease: id, blob: blob, size: int64(len(value))}
	if was := c.l.state.get(key); was != nil {
		o.create, o.ver = was.create, was.ver+1
	}
	ev := c.apply(o)
	in := &cached{owner: ev.after, bytes: value}
	ev.after.value.Store(in)
	c.b.fresh = append(c.b.fresh, in)
	if !blob.IsZero() {
		c.b.objects = append(c.b.objects, Object{Kind: gitobj.KindBlob, ID: blob, Data: content})
		c.b.bytes += len(content)
	}
}

// keepValue sets a key to the value that it has.
func (c *change) keepValue(key string, id LeaseID) {
	was := c.l.state.get(key)
	ev := c.apply(op{
		kind: opPut, key: key, mod: c.rev, create: was.create, ver: was.ver + 1, lease: id, blob: was.blob, size: was.size,
	})
	if in := was.value.Load(); in != nil {
		own := &cached{owner: ev.after, bytes: in.bytes}
		ev.after.value.Store(own)
		c.b.fresh = append(c.b.fresh, own)
	}
}

// remove deletes a key that exists.
func (c *change) remove(key string) { c.apply(op{kind: opDelete, key: key, mod: c.rev}) }

// removeSpan deletes all keys in a span, in order, and returns what they were.
func (c *change) removeSpan(s span) (was []found) {
	c.l.state.ascend(s, func(it item) bool {
		was = append(was, found{key: it.key, ver: it.head})
		return true
	})
	for _, f := range was {
		c.remove(f.key)
	}
	return was
}

// commits decides which transactions end a commit: all of them, if there is
// time; the last one of the batch, if there is less; and none, if the committer
// lags or has had its share of the processor. It also follows what is left
// uncommitted. The decision is recorded, so that it need not be taken again.
func (l *line) commits(b *batch, now time.Time) {
	var lag, room int64
	if c := l.store.committer; c != nil {
		lag = c.backlog.Load()
		room = int64(len(b.record.txns))
		if cost := c.cost.Load(); cost > 0 {
			room = int64(now.Sub(l.lastCommit)) / (cost * pace)
		}
	}
	last := len(b.record.txns) - 1
	for i := range b.record.txns {
		t := &b.record.txns[i]
		l.open.txns++
		each := lag < lagOne && room > int64(last)
		one := i == last && (lag < lagMany && room > 0 || l.open.txns >= maxOpen)
		if each || one {
			t.flags |= endsCommit
		}
		if t.flags&endsCommit != 0 {
			l.lastCommit = now
		}
		l.open.follow(t)
	}
}

const (
	lagOne  = 32   // transactions behind from which on a batch gets one commit
	lagMany = 2048 // and from which on several batches share one
	maxOpen = 4096 // transactions that one commit can have
	// pace bounds the committer to this part of one processor. Commits get
	// dearer the more names are in a directory.
	pace = 20
)

// uncommitted is what the recorded transactions since the last commit have left.
type uncommitted struct {
	txns          int
	full, batched bool
	keys          map[string]struct{} // what is of grain Batch
}

// follow does what the committer will do with t.
func (u *uncommitted) follow(t *txnRecord) {
	if t.flags&isMerge != 0 {
		*u = uncommitted{}
		return
	}
	for i := range t.ops {
		u.see(&t.ops[i])
	}
	if t.flags&endsCommit != 0 && (u.full || t.flags&takesBatched != 0) {
		*u = uncommitted{}
	}
}

func (u *uncommitted) see(o *op) {
	if o.kind != opPut && o.kind != opDelete && o.kind != opTreePut && o.kind != opTreeDelete {
		return
	}
	switch o.grain {
	case layout.Full:
		u.full = true
	case layout.Batch:
		u.wait(o.key)
	case layout.Local:
	}
}

func (u *uncommitted) wait(key string) {
	if u.keys == nil {
		u.keys = map[string]struct{}{}
	}
	u.batched = true
	u.keys[key] = struct{}{}
}

// openAfter is what is uncommitted once a store is opened with what a committer has noted.
func openAfter(c *committer) uncommitted {
	u := uncommitted{full: c.full}
	for tree := range c.dirty {
		u.wait(tree)
	}
	return u
}

func (u *uncommitted) any() bool { return u.full || u.batched }
