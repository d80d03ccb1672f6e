// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// MaxInput is how large an input may be: offsets in the table are 32 bits wide.
const MaxInput = 1<<32 - 1

// Input is a pack that is to be folded.
type Input struct {
	// Name is the file's, for errors.
	Name  string
	Index *pack.Index
	Data  io.ReaderAt
	Size  int64
	// Folded says that a fold made it: its blobs are in the order that a fold writes them.
	Folded bool
	// Stays says that the pack is only read: it is newer than those that are folded.
	Stays bool
}

// none is the place of no entry.
const none = -1

// entry is an object of an input. at is its offset in the new pack, 0 if it is not written.
type entry struct {
	id           gitobj.ID
	crc          uint32
	off, size    uint32
	at           uint32
	rel          int32 // place of the object that this one may become a delta of
	input, depth uint16
	kind         gitobj.Kind // of what is kept; else 0
}

// table is what the inputs have: each object once, by id.
type table struct {
	inputs  []Input
	entries []entry
	// byOffset are, for each input, the places of its entries in the order of their offsets.
	byOffset [][]int32
	fanout   [1<<16 + 1]int32
}

// newTable reads the indexes. Of an object that several inputs have, the oldest copy counts.
func newTable(inputs []Input) (*table, error) {
	t := &table{inputs: inputs, byOffset: make([][]int32, len(inputs))}
	total := 0
	for _, in := range inputs {
		total += in.Index.Count()
	}
	t.entries = make([]entry, 0, total)
	for i, in := range inputs {
		if in.Size > MaxInput {
			return nil, fmt.Errorf("fold %s: it has %d bytes, at most %d", in.Name, in.Size, int64(MaxInput))
		}
		if err := t.read(uint16(i), in); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(t.entries, func(a, b entry) int { return cmp.Or(a.id.Compare(b.id), cmp.Compare(a.input, b.input)) })
	t.index()
	return t, nil
}

// read adds the entries of one input.
func (t *table) read(number uint16, in Input) error {
	lines, err := in.Index.Entries()
	if err != nil {
		return fmt.Errorf("fold %s: %w", in.Name, err)
	}
	slices.SortFunc(lines, func(a, b pack.IndexEntry) int { return cmp.Compare(a.Offset, b.Offset) })
	for i, l := range lines {
		end := in.Size - pack.TrailerSize
		if i+1 < len(lines) {
			end = lines[i+1].Offset
		}
		if l.Offset < pack.HeaderSize || end <= l.Offset {
			return fmt.Errorf("fold %s: entry at %d ends at %d: %w", in.Name, l.Offset, end, pack.ErrCorrupt)
		}
		t.entries = append(t.entries, entry{
			id: l.ID, crc: l.CRC, off: uint32(l.Offset), size: uint32(end - l.Offset), input: number, rel: none, //nolint:gosec // bounded by MaxInput
		})
	}
	return nil
}

// index makes the ways into the ordered entries.
func (t *table) index() {
	for i := range t.inputs {
		t.byOffset[i] = make([]int32, 0, t.inputs[i].Index.Count())
	}
	next := 0
	for prefix := range 1 << 16 {
		t.fanout[prefix] = int32(next)
		for next < len(t.entries) && prefixOf(t.entries[next].id) == prefix {
			t.byOffset[t.entries[next].input] = append(t.byOffset[t.entries[next].input], int32(next))
			next++
		}
	}
	t.fanout[1<<16] = int32(next)
	for _, places := range t.byOffset {
		slices.SortFunc(places, func(a, b int32) int { return cmp.Compare(t.entries[a].off, t.entries[b].off) })
	}
}

func prefixOf(id gitobj.ID) int { return int(id[0])<<8 | int(id[1]) }

// find returns the place of an object, none if no input has it.
func (t *table) find(id gitobj.ID) int32 {
	p := prefixOf(id)
	low, high := t.fanout[p], t.fanout[p+1]
	for low < high {
		if mid := (low + high) / 2; t.entries[mid].id.Compare(id) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if int(low) < len(t.entries) && t.entries[low].id == id { // the first of equal ones is the oldest
		return low
	}
	return none
}

// atOffset returns the place of the entry that begins at an offset of an input.
func (t *table) atOffset(input uint16, off int64) int32 {
	places := t.byOffset[input]
	i, found := slices.BinarySearchFunc(places, off, func(p int32, off int64) int { return cmp.Compare(int64(t.entries[p].off), off) })
	if !found {
		return none
	}
	return places[i]
}

// raw returns an entry as it lies in its input, if it has the checksum that the index tells (R2).
func (t *table) raw(place int32, buf []byte) ([]byte, error) {
	e := &t.entries[place]
	in := &t.inputs[e.input]
	buf = slices.Grow(buf[:0], int(e.size))[:e.size]
	if n, err := in.Data.ReadAt(buf, int64(e.off)); n < len(buf) {
		return nil, fmt.Errorf("read %s at byte %d: %w", in.Name, e.off, err)
	}
	if checksum(buf) != e.crc {
		return nil, fmt.Errorf("read %s at byte %d: the entry's checksum is wrong: %w", in.Name, e.off, pack.ErrCorrupt)
	}
	return buf, nil
}
