// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/pjbgf/sha1cd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// IndexEntry is one line of an index: where in the pack an object is.
type IndexEntry struct {
	ID     gitobj.ID
	CRC    uint32
	Offset int64
}

// An index is
//
//	0     4  "\377tOc"
//	4     4  version 2
//	8  1024  fan-out: 256 counts of the ids whose first byte is at most the place's number
//	   20*n  ids, ordered
//	    4*n  CRC-32 of each entry
//	    4*n  offsets; one with the top bit is a line in the next table
//	    8*m  offsets beyond 2 GiB
//	     20  the pack's trailer
//	     20  SHA-1 of all that
const (
	indexHeader = 8
	fanoutSize  = 256 * 4
	indexMagic  = "\xfftOc\x00\x00\x00\x02"
	wideOffset  = 1 << 31
)

// AppendIndex appends the index of a pack with this trailer. It orders the entries.
func AppendIndex(dst []byte, entries []IndexEntry, trailer gitobj.ID) []byte {
	slices.SortFunc(entries, func(a, b IndexEntry) int { return a.ID.Compare(b.ID) })
	start := len(dst)
	dst = append(dst, indexMagic...)
	next := 0
	for first := range 256 {
		for next < len(entries) && int(entries[next].ID[0]) <= first {
			next++
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(next))
	}
	for i := range entries {
		dst = append(dst, entries[i].ID[:]...)
	}
	for i := range entries {
		dst = binary.BigEndian.AppendUint32(dst, entries[i].CRC)
	}
	var wide []byte
	for i := range entries {
		off := uint64(entries[i].Offset) //nolint:gosec // an offset is not negative
		if off >= wideOffset {
			dst = binary.BigEndian.AppendUint32(dst, wideOffset|uint32(len(wide)/8)) //nolint:gosec // less than entries
			wide = binary.BigEndian.AppendUint64(wide, off)
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(off))
	}
	dst = append(dst, wide...)
	dst = append(dst, trailer[:]...)
	sum := sha1cd.New()
	sum.Write(dst[start:])
	return sum.Sum(dst)
}

// Index finds objects in a pack. It keeps the fan-out and a filter in memory and
// reads the rest where it lies. Safe for concurrent use.
type Index struct {
	r      io.ReaderAt
	size   int64
	fanout [256]uint32

	once   sync.Once
	filter filter
}

// OpenIndex reads the head of an index and checks its shape.
func OpenIndex(r io.ReaderAt, size int64) (*Index, error) {
	x := &Index{r: r, size: size}
	var head [indexHeader + fanoutSize]byte
	if err := readFull(r, head[:], 0); err != nil {
		return nil, fmt.Errorf("index's head: %w", err)
	}
	if string(head[:indexHeader]) != indexMagic {
		return nil, fmt.Errorf("index is not of version 2: %w", ErrCorrupt)
	}
	for i := range x.fanout {
		x.fanout[i] = binary.BigEndian.Uint32(head[indexHeader+4*i:])
		if i > 0 && x.fanout[i] < x.fanout[i-1] {
			return nil, fmt.Errorf("index's fan-out shrinks at %d: %w", i, ErrCorrupt)
		}
	}
	if least := x.wideAt() + 2*gitobj.IDSize; size < least || (size-least)%8 != 0 {
		return nil, fmt.Errorf("index has %d bytes, %d objects take %d: %w", size, x.Count(), least, ErrCorrupt)
	}
	return x, nil
}

// Count returns the number of objects.
func (x *Index) Count() int { return int(x.fanout[255]) }

const idsAt = indexHeader + fanoutSize

func (x *Index) crcsAt() int64    { return idsAt + int64(x.Count())*gitobj.IDSize }
func (x *Index) offsetsAt() int64 { return x.crcsAt() + int64(x.Count())*4 }
func (x *Index) wideAt() int64    { return x.offsetsAt() + int64(x.Count())*4 }

// Find returns the offset of an object's entry. It takes two reads; for one that is not there mostly none.
func (x *Index) Find(id gitobj.ID) (off int64, found bool, err error) {
	low, high := uint32(0), x.fanout[id[0]]
	if id[0] > 0 {
		low = x.fanout[id[0]-1]
	}
	if low == high || x.filtered(id) {
		return 0, false, nil
	}
	at, found, err := x.position(low, high, id)
	if err != nil || !found {
		return 0, false, err
	}
	off, err = x.offset(at)
	return off, err == nil, err
}

// position finds an id among those from low to high, which begin with its first byte. It reads where the id ought
// to be, and, if it is not there, the side on which it then has to be.
func (x *Index) position(low, high uint32, id gitobj.ID) (at int, found bool, err error) {
	pooled, ok := buffers.Get().(*[]byte)
	if !ok {
		return 0, false, errors.New("search index: no buffer")
	}
	defer buffers.Put(pooled)
	from, to := expected(low, high, id)
	for low < high {
		ids := slices.Grow((*pooled)[:0], int(to-from)*gitobj.IDSize)[:int(to-from)*gitobj.IDSize]
		*pooled = ids
		if err := readFull(x.r, ids, idsAt+int64(from)*gitobj.IDSize); err != nil {
			return 0, false, fmt.Errorf("index's ids: %w", err)
		}
		switch {
		case bytes.Compare(id[:], ids[:gitobj.IDSize]) < 0:
			high = from
		case bytes.Compare(id[:], ids[len(ids)-gitobj.IDSize:]) > 0:
			low = to
		default:
			at, found = search(ids, id)
			return int(from) + at, found, nil
		}
		from, to = low, high
	}
	return 0, false, nil
}

// expected returns where an id is likely to be among those that share its first byte: ids are spread evenly, and of
// n of them one is off by more than twice the root of n once in 10,000 times.
func expected(low, high uint32, id gitobj.ID) (from, to uint32) {
	const few = 64
	n := high - low
	if n <= few {
		return low, high
	}
	at := low + uint32(uint64(n)*uint64(binary.BigEndian.Uint32(id[1:]))>>32)
	slack := uint32(2*math.Sqrt(float64(n))) + 1
	return max(at, low+slack) - slack, min(at+slack, high)
}

// buffers are for what is read and not kept.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// search finds an id among ordered ids.
func search(ids []byte, id gitobj.ID) (int, bool) {
	low, high := 0, len(ids)/gitobj.IDSize
	for low < high {
		mid := (low + high) / 2
		switch c := bytes.Compare(ids[mid*gitobj.IDSize:(mid+1)*gitobj.IDSize], id[:]); {
		case c == 0:
			return mid, true
		case c < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return 0, false
}

func (x *Index) offset(i int) (int64, error) {
	var b [8]byte
	if err := readFull(x.r, b[:4], x.offsetsAt()+int64(i)*4); err != nil {
		return 0, fmt.Errorf("index's offsets: %w", err)
	}
	v := binary.BigEndian.Uint32(b[:4])
	if v < wideOffset {
		return int64(v), nil
	}
	at := x.wideAt() + int64(v&^uint32(wideOffset))*8
	if at+8 > x.size-2*gitobj.IDSize {
		return 0, fmt.Errorf("index's wide offset %d is none: %w", v&^uint32(wideOffset), ErrCorrupt)
	}
	if err := readFull(x.r, b[:], at); err != nil {
		return 0, fmt.Errorf("index's wide offsets: %w", err)
	}
	if off := binary.BigEndian.Uint64(b[:]); off < 1<<62 {
		return int64(off), nil
	}
	return 0, fmt.Errorf("index's wide offset is beyond reason: %w", ErrCorrupt)
}

// Entries returns all entries, ordered by id.
func (x *Index) Entries() ([]IndexEntry, error) {
	body := make([]byte, x.wideAt()-idsAt)
	if err := readFull(x.r, body, idsAt); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	n := x.Count()
	out := make([]IndexEntry, n)
	for i := range out {
		copy(out[i].ID[:], body[i*gitobj.IDSize:])
		out[i].CRC = binary.BigEndian.Uint32(body[n*gitobj.IDSize+4*i:])
		off, err := x.offset(i)
		if err != nil {
			return nil, err
		}
		out[i].Offset = off
	}
	return out, nil
}

// Verify reads the whole index, compares its sum, and returns the trailer of
// the pack it belongs to.
func (x *Index) Verify() (trailer gitobj.ID, err error) {
	sum := sha1cd.New()
	if _, err := io.Copy(sum, io.NewSectionReader(x.r, 0, x.size-gitobj.IDSize)); err != nil {
		return trailer, fmt.Errorf("index: %w", err)
	}
	var tail [2 * gitobj.IDSize]byte
	if err := readFull(x.r, tail[:], x.size-int64(len(tail))); err != nil {
		return trailer, fmt.Errorf("index's tail: %w", err)
	}
	if !bytes.Equal(sum.Sum(nil), tail[gitobj.IDSize:]) {
		return trailer, fmt.Errorf("index's sum is wrong: %w", ErrCorrupt)
	}
	copy(trailer[:], tail[:])
	return trailer, nil
}
