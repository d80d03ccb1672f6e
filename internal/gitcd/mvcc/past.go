// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Change is one change of one key.
type Change struct {
	// Sub says which of its revision's changes it is, from 0. The revision is KV's ModRevision.
	Sub     int64
	Deleted bool
	KV      KeyValue // of a deletion only the key and the revision
	// Sum and Size are the value's CRC-32C and length, of those that EachSum yields; their Value is nil.
	Sum  uint32
	Size int64
}

// Past is what is known of the time up to a revision: the changes since the
// last compaction, and before them those that were not overtaken by then;
// deletions only of that very revision. It holds no values, and never changes.
type Past struct {
	Revision, Compacted int64
	// Current is the store's revision when it was asked.
	Current int64
	Leases  []Lease
	Alarms  []Alarm

	vals   *values
	kept   []found // in the order of their revisions
	events window
	from   int64 // the first revision of events
}

// Past returns all that there is up to the current revision: what a copy of the
// store has to have.
func (s *Store) Past(ctx context.Context) (*Past, error) {
	return s.past(0, func(p *Past, v view) error {
		p.from = v.compacted + 1
		if v.compacted == 0 {
			return nil
		}
		for n := p.events.from(v.compacted); n < p.events.next && p.events.at(n).after.mod == v.compacted; n++ {
			if ev := p.events.at(n); ev.after.deleted {
				p.kept = append(p.kept, found{key: ev.key, ver: ev.after})
			}
		}
		return p.keep(ctx, v, v.compacted, func(found) bool { return true })
	})
}

// PastForHash returns what etcd hashes up to a revision, 0 being the current
// one: the changes since the last compaction, and what was made before it and is
// still there at that revision. If nothing is, it is all that was there at the
// compaction.
func (s *Store) PastForHash(ctx context.Context, rev int64) (*Past, error) {
	return s.past(rev, func(p *Past, v view) error {
		p.from = v.compacted + 1
		some := false
		err := p.keep(ctx, v, p.Revision, func(f found) bool {
			some = true
			return f.ver.mod <= v.compacted
		})
		if err != nil || some || v.compacted == 0 {
			return err
		}
		return p.keep(ctx, v, v.compacted, func(found) bool { return true })
	})
}

// past takes one look at the store. If it is compacted meanwhile it looks again.
func (s *Store) past(rev int64, collect func(*Past, view) error) (*Past, error) {
	for {
		v, events := s.look()
		if err := v.check(rev); err != nil {
			return nil, err
		}
		p := &Past{
			Revision: cmp.Or(rev, v.rev), Compacted: v.compacted, Current: v.rev, vals: s.vals, events: events,
			Leases: s.leases.list(), Alarms: s.Alarms(),
		}
		if err := collect(p, v); err != nil {
			return nil, err
		}
		slices.SortFunc(p.kept, func(a, b found) int {
			return cmp.Or(cmp.Compare(a.ver.mod, b.ver.mod), cmp.Compare(a.ver.sub, b.ver.sub))
		})
		if s.current.Load().compacted == v.compacted {
			return p, nil
		}
	}
}

// look returns the current view, and the events up to it.
func (s *Store) look() (view, window) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return *s.current.Load(), s.hub.mu.window
}

// keep adds the states at a revision.
func (p *Past) keep(ctx context.Context, v view, at int64, want func(found) bool) error {
	steps := 0
	v.ascendAt(span{end: toInfinity}, at, func(it item) bool {
		if f := (found{key: it.key, ver: it.head}); want(f) {
			p.kept = append(p.kept, f)
		}
		steps++
		return steps%1024 != 0 || ctx.Err() == nil
	})
	return ctx.Err()
}

const (
	// aheadValues are how many values are read at once, by aheadReaders.
	aheadValues  = 256
	aheadReaders = 4
	// aheadBytes is how large they are together, about.
	aheadBytes = 2 << 20
)

// Each yields the changes in the order in which they were made. No more values
// are held than are read at once.
func (p *Past) Each(ctx context.Context, yield func(Change) error) error {
	return p.each(ctx, &ahead{vals: p.vals, yield: yield})
}

// EachSum is Each with the sums of values and their lengths in place of the
// values. What was read or written since the start needs no reading for that.
func (p *Past) EachSum(ctx context.Context, yield func(Change) error) error {
	return p.each(ctx, &ahead{vals: p.vals, yield: yield, sums: true})
}

func (p *Past) each(ctx context.Context, a *ahead) error {
	err := p.versions(func(key string, v *version) error {
		if len(a.next) == aheadValues || a.bytes >= aheadBytes {
			if err := a.give(ctx); err != nil {
				return err
			}
		}
		a.next = append(a.next, found{key: key, ver: v})
		if _, _, known := v.summed(); !a.sums || !known {
			a.bytes += max(v.size, 0)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.give(ctx)
}

// ahead reads some values at once, and yields them in order.
type ahead struct {
	vals  *values
	yield func(Change) error
	sums  bool // and no values
	next  []found
	bytes int64 // that are to be read, about
}

func (a *ahead) give(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	read := make([]Change, len(a.next))
	var group errgroup.Group
	for r := range aheadReaders {
		group.Go(func() (err error) {
			for i := r; i < len(a.next) && err == nil; i += aheadReaders {
				read[i], err = a.read(a.next[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, c := range read {
		if err := a.yield(c); err != nil {
			return err
		}
	}
	a.next, a.bytes = a.next[:0], 0
	return nil
}

// read returns a change with what of its value is asked for.
func (a *ahead) read(f found) (c Change, err error) {
	c = Change{Sub: int64(f.ver.sub), Deleted: f.ver.deleted, KV: f.ver.meta(f.key)}
	switch {
	case f.ver.deleted:
	case a.sums:
		c.Sum, c.Size, err = a.vals.sum(f.ver)
	default:
		c.KV.Value, err = a.vals.peek(f.ver)
	}
	return c, err
}

// peek returns the value of a version without keeping it.
func (c *values) peek(v *version) ([]byte, error) {
	if in := v.value.Load(); in != nil {
		return in.bytes, nil
	}
	return c.read(v.blob)
}

// read returns the value that a blob holds.
func (c *values) read(id gitobj.ID) ([]byte, error) {
	kind, blob, err := c.log.Get(id)
	if err != nil {
		return nil, fmt.Errorf("read value: %w", err)
	}
	if kind != gitobj.KindBlob {
		return nil, fmt.Errorf("read value: object %s is a %s, not a blob", id, kind)
	}
	value, err := layout.Value(blob)
	if err != nil {
		return nil, fmt.Errorf("read value from blob %s: %w", id, err)
	}
	return value, nil
}
