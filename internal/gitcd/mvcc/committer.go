// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// writeBytes is how much the committer gathers before it appends.
const writeBytes = 1 << 20

// committer turns durable op records into commits, in order, behind the back
// of those who wait for answers. What it does is a function of the records:
// after a crash it does the same again. Its commits ride on later syncs, unless
// someone asks for them with Flush.
type committer struct {
	store   *Store
	backlog atomic.Int64 // transactions to be followed
	cost    atomic.Int64 // nanoseconds that a commit takes, smoothed

	queue struct {
		sync.Mutex
		batches []*batch
		closed  bool
	}
	wake chan struct{}
	// retrying says that somebody waits to wake the goroutine, since there was no room.
	retrying atomic.Bool

	published struct {
		sync.Mutex
		head    gitobj.ID
		changed chan struct{} // closed when head moves
	}

	// The goroutine owns what follows.
	session session
	editor  *treeedit.Editor
	head    gitobj.ID
	tree    gitobj.ID
	second  int64               // of the last commit: time never goes back in a history
	at      place               // of the last transaction followed
	dirty   map[string]dirtyKey // by the key in the tree
	full    bool                // whether dirty has something of grain Full

	frame   Frame // not appended yet
	size    int
	trees   map[gitobj.ID][]byte // in frame
	from    gitobj.ID            // the head in the log
	flushed bool                 // everything appended is durable
}

func newCommitter(s *Store) *committer {
	c := &committer{store: s, wake: make(chan struct{}, 1), dirty: map[string]dirtyKey{}, trees: map[gitobj.ID][]byte{}}
	c.published.changed = make(chan struct{})
	return c
}

// stand puts the committer on a head.
func (c *committer) stand(head gitobj.ID) error {
	c.head, c.from, c.tree = head, head, gitobj.Zero
	c.published.head = head
	if !head.IsZero() {
		commit, err := c.commitOf(head)
		if err != nil {
			return err
		}
		c.tree, c.second = commit.Tree, commit.Committer.When.Unix()
	}
	c.editor = treeedit.New(c, c.tree)
	return nil
}

// Get reads an object, also one that is not appended yet.
func (c *committer) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if data, ok := c.trees[id]; ok {
		return gitobj.KindTree, data, nil
	}
	return c.store.log.Get(id)
}

func (c *committer) commitOf(id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := c.store.log.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit: %w", err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s", id, kind)
	}
	return gitobj.DecodeCommit(data)
}

// follow queues a durable batch.
func (c *committer) follow(b *batch) {
	c.backlog.Add(int64(len(b.record.txns)))
	c.queue.Lock()
	defer c.queue.Unlock()
	c.queue.batches = append(c.queue.batches, b)
	c.nudge()
}

// close lets the committer end once its queue is empty.
func (c *committer) close() {
	c.queue.Lock()
	defer c.queue.Unlock()
	c.queue.closed = true
	c.nudge()
}

func (c *committer) take() (batches []*batch, closed bool) {
	c.queue.Lock()
	defer c.queue.Unlock()
	batches, c.queue.batches = c.queue.batches, nil
	return batches, c.queue.closed
}

func (c *committer) run() {
	for range c.wake {
		for {
			batches, closed := c.take()
			if len(batches) == 0 {
				if closed {
					return
				}
				if c.frame.Record != nil { // there was no room
					c.work(nil)
				}
				break
			}
			c.work(batches)
		}
	}
}

// work follows batches. After an error the store has failed, and all that waits
// for the committer is told so. What there is no room for waits: it is known
// already what it will be.
func (c *committer) work(batches []*batch) {
	err := c.store.failure()
	for _, b := range batches {
		if err == nil {
			err = c.batch(b)
		}
		if err == nil && c.size > writeBytes {
			err = c.patient(c.write(false))
		}
		c.backlog.Add(-int64(len(b.record.txns)))
		c.store.stats.followed.Store(b.record.time)
		for _, t := range b.tokens {
			this := err
			if this == nil {
				this = t.reach(c, b)
				err = c.patient(this)
			}
			if this != nil {
				t.fail(this)
			}
		}
	}
	if err == nil {
		err = c.patient(c.write(false))
	}
	if err != nil && c.store.failure() == nil {
		_ = c.store.fail(fmt.Errorf("commit: %w", err)) // whoever asks next gets it
	}
}

// patient raises the alarm and has the committer try again later, if there was no room; other errors it returns.
func (c *committer) patient(err error) error {
	if !errors.Is(err, ErrNoSpace) {
		return err
	}
	c.store.noSpace()
	if c.retrying.Swap(true) {
		return nil
	}
	c.store.running.Go(func() {
		timer := c.store.clock.NewTimer(noSpaceRetry)
		defer timer.Stop()
		select {
		case <-timer.C():
		case <-c.store.stop:
		}
		c.retrying.Store(false)
		c.nudge()
	})
	return nil
}

// nudge wakes the goroutine.
func (c *committer) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// batch follows the transactions of one batch that were not followed before.
func (c *committer) batch(b *batch) error {
	if b.session != nil {
		return c.enter(b.session)
	}
	for i := range b.record.txns {
		at := place{batch: b.record.number, txn: i}
		if !c.at.before(at) {
			continue
		}
		if err := c.txn(&b.record.txns[i], b.record.time, at); err != nil {
			return err
		}
		c.at = at
	}
	return nil
}

func (c *committer) txn(t *txnRecord, now int64, at place) error {
	if t.flags&leavesBatched != 0 {
		clear(c.dirty)
		return c.merge(t, now, at)
	}
	if t.flags&isMerge != 0 {
		if err := c.commit(now, place{batch: at.batch, txn: at.txn - 1}); err != nil {
			return err
		}
		return c.merge(t, now, at)
	}
	for i := range t.ops {
		c.note(&t.ops[i])
	}
	if t.flags&endsCommit != 0 && (c.full || t.flags&takesBatched != 0) {
		return c.commit(now, at)
	}
	return nil
}
