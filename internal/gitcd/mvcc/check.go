// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// checkMend is what to do about records that do not hold.
const checkMend = "keep a copy of the directory, then restore it from a backup or remove it and let `gitcd init` clone the upstream"

// checker reads a log as a store does when it is opened, but derives again
// each commit since the last checkpoint, and compares.
type checker struct {
	recovery
	report  func(law, where string)
	decided gitobj.ID // the head as the records have it
	left    int       // how many faults are still told one by one
}

// Check reports each law that does not hold in a log that nobody writes to:
// M2 and M6, that records and checkpoint follow each other and name what is
// there, and M7, that the commits are what the records say and the tree has the
// store's keys. It returns the head that the records end with. Nothing is appended.
// Commits and trees can be compared only if the options say where keys lie, and
// of which grain they are: ErrOtherKeys says that they lie elsewhere.
func Check(ctx context.Context, log Log, o Options, report func(law, where string)) (gitobj.ID, error) {
	s := &Store{o: o.withDefaults(), log: log}
	s.mapped = s.keysText() != ""
	s.clock, s.vals, s.leases = s.o.Clock, &values{log: log, budget: s.o.ValueBudget}, newLeases(s.o.Clock)
	c := &checker{report: report, left: 20}
	c.recovery = recovery{store: s, state: state{view: view{index: newIndex(), rev: 1}, leases: s.leases}, committer: newCommitter(s)}
	if err := c.check(ctx); err != nil {
		return c.decided, fmt.Errorf("check store: %w", err)
	}
	return c.decided, nil
}

func (c *checker) fault(law, format string, args ...any) {
	if c.left--; c.left >= 0 {
		c.report(law, fmt.Sprintf(format, args...)+"; "+checkMend)
	}
}

// bad reports what a record is, if it is bad; any other error is returned.
func (c *checker) bad(err error) error {
	if errors.Is(err, ErrBadRecord) {
		c.fault("M6", "%v", err)
		return nil
	}
	return err
}

func (c *checker) check(ctx context.Context) error {
	payload, upTo, err := c.store.log.LastCheckpoint()
	if err != nil {
		return err
	}
	if payload != nil {
		if err := c.load(payload); err != nil {
			return c.bad(fmt.Errorf("checkpoint up to record %d: %w", upTo, err))
		}
	}
	if c.elsewhere() {
		return c.store.otherKeys(c.keys)
	}
	if err := c.stand(c.head); err != nil {
		c.fault("M7", "checkpoint up to record %d: %v", upTo, err)
		return nil
	}
	c.committer.at, c.committer.session = c.committed, c.entered
	err = c.store.log.Replay(func(seq uint64, record []byte) error {
		if err := c.next(seq, record); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		return nil
	})
	if err != nil {
		return c.bad(err)
	}
	if c.elsewhere() {
		return c.store.otherKeys(c.keys)
	}
	if err := c.derive(place{batch: math.MaxUint64, txn: math.MaxInt}); err != nil {
		c.fault("M7", "derive the commits after %s: %v", c.decided, err)
		return nil
	}
	if err := c.values(); err != nil {
		return err
	}
	return c.tree(ctx)
}

// elsewhere says that keys do not lie in the tree where the options say: then no commit can be derived again.
func (c *checker) elsewhere() bool {
	if c.state.number == 0 || c.keys == c.store.keysText() {
		return false
	}
	c.decided = gitobj.Zero
	return true
}

// stand puts the committer on a head that the records name.
func (c *checker) stand(head gitobj.ID) error {
	c.decided = head
	return c.committer.stand(head)
}

// next reads a record.
func (c *checker) next(seq uint64, record []byte) error {
	d := newDecoder(record)
	if kind := d.header(); kind != recordCommit || c.elsewhere() {
		return c.record(record)
	}
	said := d.commit()
	if err := d.end(); err != nil || said.upTo.before(c.committed) {
		return err // the checkpoint, which came later, knows better
	}
	if err := c.derive(said.upTo); err != nil {
		c.fault("M7", "record %d says that batch %d is in commit %s; it cannot be derived again: %v", seq, said.upTo.batch, said.head, err)
		return c.stand(said.head)
	}
	switch derived := c.committer.head; {
	case derived == said.head:
		c.decided = derived
		c.committer.frame, c.committer.size = Frame{}, 0 // the log has it
		clear(c.committer.trees)
		return nil
	case c.steps(derived, said.head):
	default:
		c.fault("M7", "record %d says that batch %d is in commit %s; derived again it is %s", seq, said.upTo.batch, said.head, derived)
	}
	if err := c.stand(said.head); err != nil {
		c.fault("M7", "record %d: %v", seq, err)
	}
	return nil
}

// steps says whether a commit does nothing but take the branch again; see recovery.continues.
func (c *checker) steps(from, to gitobj.ID) bool {
	was := c.head
	defer func() { c.head = was }()
	c.head = from
	return c.continues(to)
}

// derive follows what was read, up to a place.
func (c *checker) derive(upTo place) error {
	for len(c.uncommitted) > 0 {
		b := c.uncommitted[0]
		if b.session != nil {
			if upTo.before(place{batch: b.session.number}) {
				return nil
			}
			if err := c.committer.enter(b.session); err != nil {
				return err
			}
		}
		for i := range b.record.txns {
			at := place{batch: b.record.number, txn: i}
			if !c.committer.at.before(at) {
				continue
			}
			if upTo.before(at) {
				return nil
			}
			if err := c.committer.txn(&b.record.txns[i], b.record.time, at); err != nil {
				return err
			}
			c.committer.at = at
		}
		c.uncommitted = c.uncommitted[1:]
	}
	return nil
}

// values finds each value and lease that a key names (M6).
func (c *checker) values() error {
	c.state.live.Scan(func(it item) bool {
		v := it.head
		what := strconv.Quote(it.key) + " at revision " + strconv.FormatInt(v.mod, 10)
		value, err := c.store.vals.load(v)
		switch {
		case err != nil:
			c.fault("M6", "%s: %v", what, err)
		case v.size >= 0 && int64(len(value)) != v.size:
			c.fault("M6", "%s: its value has %d bytes, the record says %d", what, len(value), v.size)
		case v.lease != 0 && !c.state.leases.has(v.lease):
			c.fault("M6", "%s: its lease %d is not there", what, v.lease)
		case v.mod > c.state.rev || v.create > v.mod || v.ver < 1:
			c.fault("M2", "%s: created at %d, version %d, while the store is at %d", what, v.create, v.ver, c.state.rev)
		}
		return c.left > 0
	})
	return nil
}

// tree compares the head's tree with the keys (M7). What waits for its commit is passed over.
func (c *checker) tree(ctx context.Context) error {
	if c.committer.tree.IsZero() {
		return nil
	}
	seen := map[string]bool{}
	err := treeedit.Walk(ctx, c.committer, c.committer.tree, func(at string, blob gitobj.ID) error {
		seen[at] = true
		key, served := c.store.keyOf(at)
		if _, waits := c.committer.dirty[at]; waits || !served {
			return nil
		}
		switch v := c.state.get(key); {
		case v == nil:
			c.fault("M7", "the tree of %s has %q, the store does not", c.committer.head, key)
		case v.blob != blob && !v.aside:
			c.fault("M7", "the tree of %s has %q with value %s, the store, at revision %d, with %s", c.committer.head, key, blob, v.mod, v.blob)
		}
		return nil
	})
	if err != nil {
		c.fault("M7", "walk the tree of %s: %v", c.committer.head, err)
		return nil
	}
	c.state.live.Scan(func(it item) bool {
		at, lies := c.store.treeKey(it.key)
		_, waits := c.committer.dirty[at]
		if lies && !waits && !seen[at] && c.store.o.Grains.Of(it.key) != layout.Local {
			c.fault("M7", "the store has %q at revision %d, the tree of %s does not", it.key, it.head.mod, c.committer.head)
		}
		return c.left > 0
	})
	return nil
}
