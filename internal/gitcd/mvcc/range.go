// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
)

// SortTarget is what a range is sorted by.
type SortTarget uint8

// The sort targets.
const (
	SortByKey SortTarget = iota
	SortByVersion
	SortByCreate
	SortByMod
	SortByValue
)

// SortOrder is the direction of a sort.
type SortOrder uint8

// The sort orders. Unsorted is ascending, unless the target is not the key: see RangeRequest.
const (
	Unsorted SortOrder = iota
	Ascending
	Descending
)

// RangeRequest asks for the keys from Key on and before End. An empty End asks
// for Key alone, toInfinity ("\x00") for all from Key on.
type RangeRequest struct {
	Key, End string
	// Revision is the revision to read at; 0 is the current one.
	Revision int64
	// Limit is how many keys to return at most; 0 is all. With a target other than the key and no order, the
	// limit applies before the sort; with an order, after it.
	Limit               int64
	KeysOnly, CountOnly bool
	// Bounds, both included, on what is returned. They do not change the count. 0 is no bound.
	MinModRevision, MaxModRevision, MinCreateRevision, MaxCreateRevision int64

	SortTarget SortTarget
	SortOrder  SortOrder
}

// RangeResult answers a RangeRequest.
type RangeResult struct {
	// Revision is the store's revision when it was read, not the one asked for.
	Revision int64
	KVs      []KeyValue
	// Count is how many keys are in the range, whatever the limit and the bounds.
	Count int64
	// More says whether the limit left keys out.
	More bool
}

// view is an index at a revision.
type view struct {
	index
	rev, compacted int64
	alarms         alarmSet
}

func (v view) check(rev int64) error {
	switch {
	case rev > v.rev:
		return ErrFutureRev
	case rev > 0 && rev < v.compacted:
		return ErrCompacted
	default:
		return nil
	}
}

func (r RangeRequest) span() span { return span{start: r.Key, end: r.End} }

func (r RangeRequest) bounded() bool {
	return r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
}

func (r RangeRequest) sorted() bool {
	return r.SortOrder == Descending || (r.SortOrder == Ascending && r.SortTarget != SortByKey)
}

// within says whether a state is inside the bounds.
func (r RangeRequest) within(v *version) bool {
	return (r.MaxModRevision == 0 || v.mod <= r.MaxModRevision) && (r.MinModRevision == 0 || v.mod >= r.MinModRevision) &&
		(r.MaxCreateRevision == 0 || v.create <= r.MaxCreateRevision) &&
		(r.MinCreateRevision == 0 || v.create >= r.MinCreateRevision)
}

// collect returns the keys of the range before bounds, sort and limit, but no
// more of them than the limit needs to be told that there are more, and the count.
func (v view) collect(ctx context.Context, r RangeRequest) (out []found, count int64, err error) {
	if err = v.check(r.Revision); err != nil {
		return nil, 0, err
	}
	enough := int64(math.MaxInt64)
	if r.Limit > 0 && !r.bounded() && !r.sorted() && r.Limit < math.MaxInt64 {
		enough = r.Limit + 1
	}
	s := r.span()
	pinned := r.Revision > 0 && r.Revision < v.rev
	if !pinned {
		count = v.count(s)
		if r.CountOnly {
			return nil, count, nil
		}
		out = make([]found, 0, min(count, enough))
	}
	steps := 0
	each := func(it item) bool {
		if steps++; steps%1024 == 0 && ctx.Err() != nil {
			err = ctx.Err()
			return false
		}
		if pinned {
			count++
		}
		if !r.CountOnly && int64(len(out)) < enough {
			out = append(out, found{key: it.key, ver: it.head})
		}
		return pinned || int64(len(out)) < enough
	}
	if pinned {
		v.ascendAt(s, r.Revision, each)
	} else {
		v.ascend(s, each)
	}
	return out, count, err
}

// finish applies bounds, sort and limit, and reads the values.
func (c *values) finish(r RangeRequest, revision int64, keys []found, count int64) (RangeResult, error) {
	out := RangeResult{Revision: revision, Count: count}
	if r.CountOnly {
		return out, nil
	}
	if r.bounded() {
		keys = slices.DeleteFunc(keys, func(f found) bool { return !r.within(f.ver) })
	}
	late := r.SortTarget != SortByKey && r.SortOrder == Unsorted
	byValue := r.SortTarget == SortByValue && (late || r.sorted())
	if r.sorted() || late {
		if err := c.sort(r, keys, byValue); err != nil {
			return RangeResult{}, err
		}
	}
	if r.Limit > 0 && int64(len(keys)) > r.Limit {
		keys, out.More = keys[:r.Limit], true
	}
	out.KVs = make([]KeyValue, len(keys))
	for i, f := range keys {
		if r.KeysOnly {
			out.KVs[i] = f.ver.meta(f.key)
			continue
		}
		kv, err := c.fill(f)
		if err != nil {
			return RangeResult{}, err
		}
		out.KVs[i] = kv
	}
	return out, nil
}

func (c *values) sort(r RangeRequest, keys []found, byValue bool) error {
	vals := map[*version][]byte{}
	if byValue {
		for _, f := range keys {
			value, err := c.load(f.ver)
			if err != nil {
				return err
			}
			vals[f.ver] = value
		}
	}
	slices.SortStableFunc(keys, func(a, b found) int {
		n := 0
		switch r.SortTarget {
		case SortByKey:
			n = cmp.Compare(a.key, b.key)
		case SortByVersion:
			n = cmp.Compare(a.ver.ver, b.ver.ver)
		case SortByCreate:
			n = cmp.Compare(a.ver.create, b.ver.create)
		case SortByMod:
			n = cmp.Compare(a.ver.mod, b.ver.mod)
		case SortByValue:
			n = bytes.Compare(vals[a.ver], vals[b.ver])
		}
		if r.SortOrder == Descending {
			return -n
		}
		return n
	})
	return nil
}
