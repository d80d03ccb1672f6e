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
	// Kill ends the process: all that was written is there.
	Kill Crash = iota
	// DropUnsynced cuts the power: only what was synced is there.
	DropUnsynced
	// Tear cuts the power while the disk was busy: of what was not synced, some
	// sectors are there, in no order, and some of the last changes of names.
	Tear
)

// sector is what a disk writes whole or not at all.
const sector = 512

// CrashClone returns a new Mem with what would be there after a crash now.
// random decides what Tear keeps; the others need none.
func (m *Mem) CrashClone(crash Crash, random *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.initLocked()
	names := maps.Clone(m.durable)
	keep := len(m.pending)
	switch crash {
	case DropUnsynced:
		keep = 0
	case Tear:
		keep = random.IntN(len(m.pending) + 1)
	case Kill:
	}
	for _, r := range m.pending[:keep] {
		r.apply(names)
	}
	out := &Mem{names: map[string]*inode{}, durable: map[string]*inode{}, dirs: maps.Clone(m.dirs)}
	odds := 0.0
	if crash == Tear {
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

// crash returns what is left of a file.
func (n *inode) crash(crash Crash, random *rand.Rand, odds float64) *inode {
	data := slices.Clone(n.synced)
	switch crash {
	case Kill:
		data = slices.Clone(n.data)
	case DropUnsynced:
	case Tear:
		for _, c := range n.changes {
			for _, part := range c.sectors() {
				if random.Float64() < odds {
					data = part.apply(data)
				}
			}
		}
	}
	return &inode{data: data, synced: slices.Clone(data)}
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
