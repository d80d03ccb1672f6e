// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// cachedOverhead is about what a value in memory costs beside its bytes.
const cachedOverhead = 96

// cached is a value in memory.
type cached struct {
	owner *version
	bytes []byte
	used  atomic.Bool // since the hand last passed
}

// values keeps the values in memory up to a budget, the second chance way, and
// reads the others from the log. A value is added when its version is durable;
// before that it is held by its version alone and cannot be dropped.
type values struct {
	log    Log   // nil: all values stay in memory
	budget int64 // bytes
	reads  atomic.Int64

	mu struct {
		sync.Mutex
		queue []*cached // oldest first, from head on
		head  int
		held  int64 // bytes
	}
}

// add counts values of durable versions against the budget, and drops others for them.
func (c *values) add(batch ...*cached) {
	if c.log == nil || len(batch) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range batch {
		v.owner.note(v.bytes)
		c.mu.queue = append(c.mu.queue, v)
		c.mu.held += int64(len(v.bytes)) + cachedOverhead
	}
	for c.mu.held > c.budget && c.mu.head < len(c.mu.queue) {
		v := c.mu.queue[c.mu.head]
		c.mu.queue[c.mu.head] = nil
		c.mu.head++
		if v.used.Swap(false) {
			c.mu.queue = append(c.mu.queue, v)
			continue
		}
		v.owner.value.CompareAndSwap(v, nil)
		c.mu.held -= int64(len(v.bytes)) + cachedOverhead
	}
	if c.mu.head > 64 && c.mu.head > len(c.mu.queue)/2 {
		c.mu.queue = append(c.mu.queue[:0], c.mu.queue[c.mu.head:]...)
		c.mu.head = 0
	}
}

// load returns the value of a version. The caller must not change it.
func (c *values) load(v *version) ([]byte, error) {
	if in := v.value.Load(); in != nil {
		if !in.used.Load() {
			in.used.Store(true)
		}
		return in.bytes, nil
	}
	c.reads.Add(1)
	value, err := c.read(v.blob)
	if err != nil {
		return nil, err
	}
	in := &cached{owner: v, bytes: value}
	if v.value.CompareAndSwap(nil, in) {
		c.add(in)
	}
	return value, nil
}

// fill reads the value of a key's state.
func (c *values) fill(f found) (KeyValue, error) {
	kv := f.ver.meta(f.key)
	value, err := c.load(f.ver)
	if err != nil {
		return KeyValue{}, fmt.Errorf("key %q at revision %d: %w", f.key, f.ver.mod, err)
	}
	kv.Value = value
	return kv, nil
}
