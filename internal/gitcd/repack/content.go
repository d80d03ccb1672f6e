// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

func checksum(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// object is an object in memory.
type object struct {
	kind gitobj.Kind
	data []byte
}

// contents reads objects, and remembers the latest within a budget: what a
// delta is based on was most often read just before.
type contents struct {
	table  *table
	around Around
	// count is told how many bytes were read.
	count func(n int) error

	budget int
	held   int
	young  map[gitobj.ID]object // read since the last turn
	old    map[gitobj.ID]object
}

func newContents(t *table, around Around, budget int, count func(int) error) *contents {
	return &contents{table: t, around: around, budget: budget, count: count, young: map[gitobj.ID]object{}, old: map[gitobj.ID]object{}}
}

func (c *contents) keep(id gitobj.ID, o object) {
	if c.held += len(o.data) + 128; c.held > c.budget/2 {
		c.old, c.young, c.held = c.young, map[gitobj.ID]object{}, len(o.data)+128
	}
	c.young[id] = o
}

func (c *contents) cached(id gitobj.ID) (object, bool) {
	if o, ok := c.young[id]; ok {
		return o, true
	}
	o, ok := c.old[id]
	if ok {
		c.keep(id, o)
	}
	return o, ok
}

// get returns an object of the inputs, or of those around them.
func (c *contents) get(id gitobj.ID) (object, error) {
	if o, ok := c.cached(id); ok {
		return o, nil
	}
	place := c.table.find(id)
	if place != none {
		return c.at(place)
	}
	kind, data, err := c.around.Get(id)
	if err != nil {
		return object{}, fmt.Errorf("read %s: %w", id, err)
	}
	o := object{kind: kind, data: data}
	c.keep(id, o)
	return o, c.count(len(data))
}

// step is a delta on the way to an object.
type step struct {
	id    gitobj.ID
	delta []byte
}

// at returns the object at a place of the table. Deltas are followed to a base that is remembered, or whole.
func (c *contents) at(place int32) (object, error) {
	var steps []step
	o, next, err := c.whole(place, &steps)
	for err == nil && o.kind == 0 {
		if len(steps) > len(c.table.entries) {
			return o, fmt.Errorf("read %s: its deltas never end: %w", steps[0].id, pack.ErrCorrupt)
		}
		o, next, err = c.whole(next, &steps)
	}
	if err != nil {
		return o, err
	}
	for _, s := range slices.Backward(steps) {
		data, err := pack.ApplyDelta(o.data, s.delta)
		if err != nil {
			return o, fmt.Errorf("read %s: %w", s.id, err)
		}
		o = object{kind: o.kind, data: data}
		c.keep(s.id, o)
		if err := c.count(len(data)); err != nil {
			return o, err
		}
	}
	return o, nil
}

// whole returns the object at a place; or, if that is a delta, adds this to the steps, and returns its base or where that is.
func (c *contents) whole(place int32, steps *[]step) (o object, next int32, err error) {
	e := &c.table.entries[place]
	if have, ok := c.cached(e.id); ok {
		return have, none, nil
	}
	raw, err := c.table.raw(place, nil)
	if err != nil {
		return o, none, err
	}
	if err := c.count(len(raw)); err != nil {
		return o, none, err
	}
	where := func(err error) error {
		return fmt.Errorf("read %s at byte %d: %w", c.table.inputs[e.input].Name, e.off, err)
	}
	head, data, err := pack.ReadEntry(bytes.NewReader(raw), 0, int64(len(raw)))
	if err != nil {
		return o, none, where(err)
	}
	if !head.IsDelta() {
		o = object{kind: gitobj.Kind(head.Type), data: data}
		c.keep(e.id, o)
		return o, none, nil
	}
	*steps = append(*steps, step{id: e.id, delta: data})
	base, id := c.baseOf(place, head)
	switch {
	case base != none:
		return o, base, nil
	case id.IsZero():
		return o, none, where(fmt.Errorf("no entry at the delta's base: %w", pack.ErrCorrupt))
	default:
		o, err = c.get(id)
		return o, none, err
	}
}

// baseOf returns where a delta's base is: a place of the table, or else an id.
func (c *contents) baseOf(place int32, head pack.Entry) (int32, gitobj.ID) {
	e := &c.table.entries[place]
	if head.Type == pack.RefDelta {
		if base := c.table.find(head.Base); base != none {
			return base, head.Base
		}
		return none, head.Base
	}
	base := c.table.atOffset(e.input, int64(e.off)-head.Distance)
	if base == none {
		return none, gitobj.Zero
	}
	return base, c.table.entries[base].id
}
