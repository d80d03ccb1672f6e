// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit

import "bytes"

// splice replaces remove bytes at a place of the old content by insert. Splices
// are in the order of their places and do not overlap.
type splice struct {
	at, remove int
	insert     []byte
}

// apply returns the new content.
func apply(old []byte, splices []splice) []byte {
	parts := make([][]byte, 0, 2*len(splices)+1)
	at := 0
	for _, s := range splices {
		parts = append(parts, old[at:s.at], s.insert)
		at = s.at + s.remove
	}
	return bytes.Join(append(parts, old[at:]), nil) // which does not clear what it then writes over
}

// deltaOf writes the splices as a Git delta: the sizes of both contents, then
// copies from the old one and literal bytes. The editor knows exactly what it
// changed, so nothing has to be searched.
func deltaOf(oldSize, newSize int, splices []splice) []byte {
	out := make([]byte, 0, 16+24*len(splices))
	out = appendSize(out, oldSize)
	out = appendSize(out, newSize)
	at := 0
	var literal []byte
	for _, s := range splices {
		if s.at > at {
			out = appendInsert(out, literal)
			literal = literal[:0]
			out = appendCopy(out, at, s.at-at)
		}
		literal = append(literal, s.insert...)
		at = s.at + s.remove
	}
	out = appendInsert(out, literal)
	return appendCopy(out, at, oldSize-at)
}

func appendSize(out []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n&0x7f)|0x80)
	}
	return append(out, byte(n&0x7f))
}

func appendInsert(out, literal []byte) []byte {
	for len(literal) > 0 {
		n := min(len(literal), 0x7f)
		out = append(out, byte(n))
		out = append(out, literal[:n]...)
		literal = literal[n:]
	}
	return out
}

// maxCopy is the largest size that a copy of the widest form can say.
const maxCopy = 0xffffff

func appendCopy(out []byte, at, size int) []byte {
	for size > 0 {
		n := min(size, maxCopy)
		op := len(out)
		out = append(out, 0x80)
		for i := range 4 {
			if b := byte(at >> (8 * i) & 0xff); b != 0 {
				out[op] |= 1 << i
				out = append(out, b)
			}
		}
		for i := range 3 {
			if b := byte(n >> (8 * i) & 0xff); b != 0 {
				out[op] |= 0x10 << i
				out = append(out, b)
			}
		}
		at, size = at+n, size-n
	}
	return out
}
