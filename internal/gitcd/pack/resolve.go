// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"fmt"
	"io"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// maxDepth is Git's own bound on chains of deltas that name their base by id.
// A chain of distances ends by itself.
const maxDepth = 4095

// Find says where in the same pack the entry of an object begins.
type Find func(gitobj.ID) (off int64, found bool, err error)

// Resolve returns the object whose entry begins at off, following deltas to
// their bases. end is where the entries end.
func Resolve(r io.ReaderAt, off, end int64, find Find) (gitobj.Kind, []byte, error) {
	var deltas [][]byte
	byID := 0
	for {
		e, data, err := ReadEntry(r, off, end)
		if err != nil {
			return 0, nil, err
		}
		switch e.Type {
		case OfsDelta:
			if e.Distance > off-HeaderSize {
				return 0, nil, fmt.Errorf("entry at %d: base lies before the pack: %w", off, ErrCorrupt)
			}
			off -= e.Distance
		case RefDelta:
			base, found, err := find(e.Base)
			if err != nil {
				return 0, nil, err
			}
			if byID++; !found || byID > maxDepth {
				return 0, nil, fmt.Errorf("entry at %d: base %s is not to be had: %w", off, e.Base, ErrCorrupt)
			}
			off = base
		default:
			data, err = applyAll(data, deltas)
			if err != nil {
				return 0, nil, fmt.Errorf("entry at %d: %w", off, err)
			}
			return gitobj.Kind(e.Type), data, nil
		}
		deltas = append(deltas, data)
	}
}

// File is a pack with its index. Safe for concurrent use.
type File struct {
	Index *Index
	data  io.ReaderAt
	// end is where the entries end and the trailer begins.
	end   int64
	bases bases
}

// OpenFile checks the head of a pack against its index.
func OpenFile(data io.ReaderAt, size int64, index *Index) (*File, error) {
	if size < HeaderSize+TrailerSize {
		return nil, fmt.Errorf("pack has only %d bytes: %w", size, ErrCorrupt)
	}
	var head [HeaderSize]byte
	if err := readFull(data, head[:], 0); err != nil {
		return nil, err
	}
	count, err := ParseHeader(head[:])
	if err != nil {
		return nil, err
	}
	if int64(count) != int64(index.Count()) {
		return nil, fmt.Errorf("pack has %d objects, its index %d: %w", count, index.Count(), ErrCorrupt)
	}
	return &File{Index: index, data: data, end: size - TrailerSize}, nil
}

// Get returns an object; found is false if it is not in the pack.
func (f *File) Get(id gitobj.ID) (kind gitobj.Kind, data []byte, found bool, err error) {
	off, found, err := f.Index.Find(id)
	if err != nil || !found {
		return 0, nil, false, err
	}
	kind, data, err = f.At(off)
	return kind, data, err == nil, err
}
