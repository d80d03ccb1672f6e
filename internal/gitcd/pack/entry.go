// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Type is what an entry holds: one of the kinds of object, or a delta.
type Type uint8

// The types of entries beside the four kinds of object.
const (
	OfsDelta Type = 6
	RefDelta Type = 7
)

// Sizes of a pack's fixed parts.
const (
	HeaderSize  = 12
	TrailerSize = 20
	// MaxEntryHeader is the longest header of an entry, base included.
	MaxEntryHeader = 10 + 20
)

// ErrCorrupt is wrapped by every error about bytes that are no pack or index.
var ErrCorrupt = errors.New("corrupt pack")

// Entry is the header of an entry.
type Entry struct {
	Type Type
	// Size is the length of what the zlib stream holds: the content, or the delta.
	Size int64
	// Distance is how far back the base's entry begins, for OfsDelta.
	Distance int64
	// Base is the base's id, for RefDelta.
	Base gitobj.ID
}

// IsDelta says whether the entry is a delta.
func (e Entry) IsDelta() bool { return e.Type == OfsDelta || e.Type == RefDelta }

// AppendHeader appends a pack's header for a number of entries.
func AppendHeader(dst []byte, count uint32) []byte {
	dst = append(dst, "PACK\x00\x00\x00\x02"...)
	return binary.BigEndian.AppendUint32(dst, count)
}

// ParseHeader returns the number of entries that a pack's header announces.
func ParseHeader(b []byte) (uint32, error) {
	if len(b) < HeaderSize || string(b[:4]) != "PACK" {
		return 0, fmt.Errorf("no pack header: %w", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(b[4:]); v != 2 {
		return 0, fmt.Errorf("pack version %d, want 2: %w", v, ErrCorrupt)
	}
	return binary.BigEndian.Uint32(b[8:]), nil
}

// AppendEntry appends an entry's header.
func AppendEntry(dst []byte, e Entry) []byte {
	size := uint64(e.Size) //nolint:gosec // a size is not negative
	c := byte(e.Type)<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		dst = append(dst, c|0x80)
		c = byte(size & 0x7f)
	}
	dst = append(dst, c)
	switch e.Type {
	case OfsDelta:
		return appendDistance(dst, uint64(e.Distance)) //nolint:gosec // a distance is positive
	case RefDelta:
		return append(dst, e.Base[:]...)
	default:
		return dst
	}
}

func appendDistance(dst []byte, d uint64) []byte {
	var b [10]byte
	i := len(b) - 1
	b[i] = byte(d & 0x7f)
	for d >>= 7; d > 0; d >>= 7 {
		d--
		i--
		b[i] = byte(d&0x7f) | 0x80
	}
	return append(dst, b[i:]...)
}

// ParseEntry reads an entry's header and returns its length. It wraps
// io.ErrUnexpectedEOF if b ends too early.
func ParseEntry(b []byte) (Entry, int, error) {
	var e Entry
	var size uint64
	n, shift := 0, 4
	for {
		if n == len(b) {
			return e, 0, fmt.Errorf("entry's header: %w", io.ErrUnexpectedEOF)
		}
		c := b[n]
		if n == 0 {
			e.Type, size = Type(c>>4&7), uint64(c&15)
		} else {
			size |= uint64(c&0x7f) << shift
			shift += 7
		}
		n++
		if c&0x80 == 0 {
			break
		}
		if shift > 53 {
			return e, 0, fmt.Errorf("entry's size is beyond reason: %w", ErrCorrupt)
		}
	}
	e.Size = int64(size)
	switch {
	case e.Type == OfsDelta:
		d, m, err := parseDistance(b[n:])
		e.Distance = d
		return e, n + m, err
	case e.Type == RefDelta:
		if len(b) < n+gitobj.IDSize {
			return e, 0, fmt.Errorf("entry's base: %w", io.ErrUnexpectedEOF)
		}
		n += copy(e.Base[:], b[n:])
		return e, n, nil
	case gitobj.Kind(e.Type).Valid():
		return e, n, nil
	default:
		return e, 0, fmt.Errorf("entry of type %d: %w", e.Type, ErrCorrupt)
	}
}

func parseDistance(b []byte) (int64, int, error) {
	var d int64
	for i, c := range b {
		if i == 8 {
			break
		}
		if i > 0 {
			d++
		}
		d = d<<7 | int64(c&0x7f)
		if c&0x80 == 0 {
			if d == 0 {
				return 0, 0, fmt.Errorf("delta on itself: %w", ErrCorrupt)
			}
			return d, i + 1, nil
		}
	}
	if len(b) < 8 {
		return 0, 0, fmt.Errorf("entry's base: %w", io.ErrUnexpectedEOF)
	}
	return 0, 0, fmt.Errorf("base's distance is beyond reason: %w", ErrCorrupt)
}

// A stored zlib stream: two bytes of header, blocks of at most storedBlock
// bytes each behind five bytes of header, and the Adler-32 of the content.
const (
	storedBlock    = 0xffff
	storedOverhead = 2 + 4
	blockOverhead  = 5
)

// StoredSize returns the length of the stored zlib stream of n bytes.
func StoredSize(n int) int {
	return storedOverhead + n + blockOverhead*max(1, (n+storedBlock-1)/storedBlock)
}

// AppendStored appends data as a zlib stream that is not compressed.
func AppendStored(dst, data []byte) []byte {
	sum := adler32.Checksum(data)
	dst = append(dst, 0x78, 0x01)
	for {
		n := min(len(data), storedBlock)
		final := byte(0)
		if n == len(data) {
			final = 1
		}
		low, high := byte(n&0xff), byte(n>>8)
		dst = append(dst, final, low, high, ^low, ^high)
		dst = append(dst, data[:n]...)
		data = data[n:]
		if final == 1 {
			return binary.BigEndian.AppendUint32(dst, sum)
		}
	}
}

// Stored returns the content of the stored zlib stream at the start of b and
// the stream's length. ok is false if the stream is compressed, cut short or
// damaged. A content of one block is a part of b, not a copy.
func Stored(b []byte) (data []byte, n int, ok bool) {
	if len(b) < storedOverhead+blockOverhead || b[0]&15 != 8 || (uint(b[0])<<8|uint(b[1]))%31 != 0 || b[1]&0x20 != 0 {
		return nil, 0, false
	}
	for n = 2; ; {
		if len(b) < n+blockOverhead || b[n] > 1 {
			return nil, 0, false
		}
		size := int(b[n+1]) | int(b[n+2])<<8
		if b[n+3] != ^b[n+1] || b[n+4] != ^b[n+2] || len(b) < n+blockOverhead+size {
			return nil, 0, false
		}
		final := b[n] == 1
		block := b[n+blockOverhead : n+blockOverhead+size]
		n += blockOverhead + size
		if data == nil && final {
			data = block
		} else {
			data = append(data, block...)
		}
		if final {
			break
		}
	}
	if len(b) < n+4 || binary.BigEndian.Uint32(b[n:]) != adler32.Checksum(data) {
		return nil, 0, false
	}
	return data, n + 4, true
}
