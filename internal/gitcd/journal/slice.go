// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/pjbgf/sha1cd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// slice is a pack made of a run of a segment's objects, without the records.
type slice struct {
	data    []byte
	entries []pack.IndexEntry
	trailer gitobj.ID
}

func (s *slice) count() int    { return len(s.entries) }
func (s *slice) stem() string  { return tailPrefix + s.trailer.String()[len(tailPrefix)-len("pack-"):] }
func (s *slice) index() []byte { return pack.AppendIndex(nil, s.entries, s.trailer) }

// copySlice copies the objects of a segment from one entry to another into a
// pack of their own. A delta keeps its base if that comes along; else the
// object is written whole.
func (j *Journal) copySlice(seg *segment, from, to int) (*slice, error) {
	entries, end := j.run(seg, from, to)
	raw := make([]byte, end-int64(entries[0].off))
	first := int64(entries[0].off)
	if err := readAt(seg.file, raw, first); err != nil {
		return nil, fmt.Errorf("read %s: %w", seg.name, err)
	}
	s := &slice{data: pack.AppendHeader(make([]byte, 0, len(raw)+pack.HeaderSize+pack.TrailerSize), 0)}
	moved := make([]int64, len(entries)) // entry -> its offset in the new pack
	for i, e := range entries {
		if e.kind == 0 {
			continue
		}
		next := end
		if i+1 < len(entries) {
			next = int64(entries[i+1].off)
		}
		moved[i] = int64(len(s.data))
		if err := s.add(seg, raw[int64(e.off)-first:next-first], e, moved, from, end); err != nil {
			return nil, err
		}
		at := moved[i]
		s.entries = append(s.entries, pack.IndexEntry{ID: e.id, CRC: crc32.ChecksumIEEE(s.data[at:]), Offset: at})
	}
	binary.BigEndian.PutUint32(s.data[8:], uint32(len(s.entries))) //nolint:gosec // a segment has fewer than 4G entries
	sum := sha1cd.New()
	sum.Write(s.data)
	sum.Sum(s.trailer[:0])
	s.data = append(s.data, s.trailer[:]...)
	return s, nil
}

// run returns the entries from a place to another, and where the last one ends.
func (j *Journal) run(seg *segment, from, to int) ([]entry, int64) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return seg.entries[from:to:to], seg.entryEnd(to - 1)
}

// add appends one entry. end is where the entries of the segment end, as far as they are read.
func (s *slice) add(seg *segment, raw []byte, e entry, moved []int64, from int, end int64) error {
	if e.base == noBase {
		s.data = append(s.data, raw...)
		return nil
	}
	if at := int(e.base) - from; at >= 0 {
		header, n, err := pack.ParseEntry(raw)
		if err != nil {
			return fmt.Errorf("read %s: %w", seg.name, err)
		}
		header.Distance = int64(len(s.data)) - moved[at]
		s.data = append(pack.AppendEntry(s.data, header), raw[n:]...)
		return nil
	}
	kind, content, err := pack.Resolve(seg.file, int64(e.off), end, nil)
	if err != nil {
		return corruptIn(seg.name, err)
	}
	s.data = pack.AppendEntry(s.data, pack.Entry{Type: pack.Type(kind), Size: int64(len(content))})
	s.data = pack.AppendStored(s.data, content)
	return nil
}
