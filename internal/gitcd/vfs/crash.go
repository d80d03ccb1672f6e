// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash says what an end without warning leaves of a Mem.
type Crash uint8

// The crashes.
const (
	// Kill ends the process: all that was written is there, but what was not
	// synced can still be lost if the power goes later.
	Kill Crash = iota
	// DropUnsynced cuts the power: only what was synced is there.
	DropUnsynced
	// Tear cuts the power while the disk was busy: of what was not synced, some
	// sectors are there, in no order, and some of the last changes of names.
	Tear
	// Garble is Tear, with any bytes in some of the sectors that were not synced.
	Garble
)

// sector is what a disk writes whole or not at all.
const sector = 512

// CrashClone returns a new Mem with what would be there after a crash now.
// random decides what Tear and Garble keep; the others need none.
func (m *Mem) CrashClone(crash Crash, random *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.initLocked()
	if crash == Kill {
		return m.copyLocked()
	}
	names := maps.Clone(m.durable)
	keep := 0
	if crash != DropUnsynced {
		keep = random.IntN(len(m.pending) + 1)
	}
	for _, r := range m.pending[:keep] {
		r.apply(names)
	}
	out := &Mem{names: map[string]*inode{}, durable: map[string]*inode{}, dirs: maps.Clone(m.dirs)}
	odds := 0.0
	if crash != DropUnsynced {
		odds = []float64{0.05, 0.5, 0.95}[random.IntN(3)]
	}
	done := map[*inode]*inode{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // ordered, so that a seed repeats
		n := names[name]
		if done[n] == nil {
			done[n] = n.crash(crash, random, odds)
		}
		out.names[name], out.durable[name] = done[n], done[n]
	}
	return out
}

// copyLocked returns the same disk without the process: no hook, and no locks.
func (m *Mem) copyLocked() *Mem {
	done := map[*inode]*inode{}
	node := func(n *inode) *inode {
		if n != nil && done[n] == nil {
			done[n] = &inode{data: slices.Clone(n.data), synced: slices.Clone(n.synced), changes: slices.Clone(n.changes)}
		}
		return done[n]
	}
	out := &Mem{names: map[string]*inode{}, durable: map[string]*inode{}, dirs: maps.Clone(m.dirs)}
	for name, n := range m.names {
		out.names[name] = node(n)
	}
	for name, n := range m.durable {
		out.durable[name] = node(n)
	}
	for _, r := range m.pending {
		out.pending = append(out.pending, rename{from: r.from, to: r.to, node: node(r.node)})
	}
	return out
}

// crash returns what is left of a file when the power goes.
func (n *inode) crash(crash Crash, random *rand.Rand, odds float64) *inode {
	data := slices.Clone(n.synced)
	if crash == DropUnsynced {
		return &inode{data: data, synced: slices.Clone(data)}
	}
	for _, c := range n.changes {
		for _, part := range c.sectors() {
			if crash == Garble && random.IntN(4) == 0 {
				part = part.garbled(random)
			}
			if random.Float64() < odds {
				data = part.apply(data)
			}
		}
	}
	return &inode{data: data, synced: slices.Clone(data)}
}

// garbled returns the change with bytes that nobody wrote. What was synced in
// the same sector stays: a disk that garbles that as well keeps no promise.
func (c change) garbled(random *rand.Rand) change {
	out := change{off: c.off, data: slices.Clone(c.data)}
	for i := range out.data {
		out.data[i] = byte(random.Uint32()) //nolint:gosec // any byte
	}
	return out
}

// sectors returns the change in the pieces that a disk writes.
func (c change) sectors() []change {
	if c.data == nil {
		return []change{c}
	}
	var out []change
	for off, data := c.off, c.data; len(data) > 0; {
		n := min(int64(len(data)), sector-off%sector)
		out = append(out, change{off: off, data: data[:n]})
		off, data = off+n, data[n:]
	}
	return out
}
