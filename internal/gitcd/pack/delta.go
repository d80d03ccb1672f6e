// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"encoding/binary"
	"fmt"
)

// Edit replaces Cut bytes of a base at At by Insert.
type Edit struct {
	At, Cut int
	Insert  []byte
}

// EditDelta returns the delta that makes these edits, ordered and not
// overlapping, to a base of this size: copy, insert, copy.
func EditDelta(baseSize int, edits ...Edit) []byte {
	target := baseSize
	for _, e := range edits {
		target += len(e.Insert) - e.Cut
	}
	delta := appendSize(appendSize(make([]byte, 0, 64), baseSize), target)
	at := 0
	for _, e := range edits {
		delta = appendCopy(delta, at, e.At-at)
		delta = appendInsert(delta, e.Insert)
		at = e.At + e.Cut
	}
	return appendCopy(delta, at, baseSize-at)
}

// Delta returns a delta from base to target that copies what both begin and
// end with: the best there is for one edit, and never wrong.
func Delta(base, target []byte) []byte {
	head := 0
	for head < min(len(base), len(target)) && base[head] == target[head] {
		head++
	}
	tail := 0
	for tail < min(len(base), len(target))-head && base[len(base)-1-tail] == target[len(target)-1-tail] {
		tail++
	}
	return EditDelta(len(base), Edit{At: head, Cut: len(base) - head - tail, Insert: target[head : len(target)-tail]})
}

func appendSize(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) } //nolint:gosec // a size is not negative

const (
	maxCopy   = 0xffffff
	maxInsert = 0x7f
)

func appendCopy(dst []byte, at, n int) []byte {
	for n > 0 {
		size := min(n, maxCopy)
		op := len(dst)
		dst = append(dst, 0x80)
		for i := range 4 {
			if c := byte(at >> (8 * i) & 0xff); c != 0 {
				dst = append(dst, c)
				dst[op] |= 1 << i
			}
		}
		for i := range 3 {
			if c := byte(size >> (8 * i) & 0xff); c != 0 && size != 0x10000 { // 0x10000 is what no size bytes mean
				dst = append(dst, c)
				dst[op] |= 0x10 << i
			}
		}
		at += size
		n -= size
	}
	return dst
}

func appendInsert(dst, data []byte) []byte {
	for len(data) > 0 {
		n := min(len(data), maxInsert)
		dst = append(dst, byte(n))
		dst = append(dst, data[:n]...)
		data = data[n:]
	}
	return dst
}

// DeltaSizes returns the sizes of the base and of the target that a delta announces.
func DeltaSizes(delta []byte) (base, target int64, err error) {
	base, target, _, err = parseSizes(delta)
	return base, target, err
}

func parseSizes(delta []byte) (base, target int64, ops []byte, err error) {
	b, n := binary.Uvarint(delta)
	if n <= 0 || b > 1<<40 {
		return 0, 0, nil, fmt.Errorf("delta's base size: %w", ErrCorrupt)
	}
	t, m := binary.Uvarint(delta[n:])
	if m <= 0 || t > 1<<40 {
		return 0, 0, nil, fmt.Errorf("delta's target size: %w", ErrCorrupt)
	}
	return int64(b), int64(t), delta[n+m:], nil
}

// ApplyDelta returns what a delta makes of its base. The target is no larger
// than the delta says; a caller that has a bound compares it first (DeltaSizes).
func ApplyDelta(base, delta []byte) ([]byte, error) {
	baseSize, size, ops, err := parseSizes(delta)
	if err != nil {
		return nil, err
	}
	if baseSize != int64(len(base)) {
		return nil, fmt.Errorf("delta is for a base of %d bytes, not %d: %w", baseSize, len(base), ErrCorrupt)
	}
	out := make([]byte, 0, min(size, int64(len(base)+len(delta)))) // a size that lies takes no memory
	for len(ops) > 0 {
		var op deltaPart
		if op, ops, err = parseOp(ops, baseSize); err != nil {
			return nil, err
		}
		if int64(len(out)+op.n) > size {
			return nil, fmt.Errorf("delta makes more than its %d bytes: %w", size, ErrCorrupt)
		}
		if op.data != nil {
			out = append(out, op.data...)
		} else {
			out = append(out, base[op.at:op.at+op.n]...)
		}
	}
	if int64(len(out)) != size {
		return nil, fmt.Errorf("delta makes %d bytes, not %d: %w", len(out), size, ErrCorrupt)
	}
	return out, nil
}
