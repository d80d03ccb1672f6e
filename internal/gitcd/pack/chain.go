// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"fmt"
	"slices"
)

// A chain of deltas is applied one by one, the last first, which makes all the
// contents between. A long chain of small ones, as of a large tree that changes
// a line at a time, is joined into one before, so that its cost is the target's:
//
//	delta 3 ─► pieces of 2 ─┐
//	delta 2 ────────────────┴► pieces of 1 ─┐
//	delta 1 ────────────────────────────────┴► pieces of the base ─► target
const (
	// joinFrom is how long a chain is that is worth it.
	joinFrom = 4
	// fewPieces is what a delta has that is worth it, and morePieces how many a delta may add on the average.
	fewPieces, morePieces = 32, 4
)

// piece is a part of a target: n bytes of the base at a place, or bytes of its own.
type piece struct {
	at, n int
	data  []byte // nil if they are the base's
}

// applyAll applies deltas, the last first.
func applyAll(data []byte, deltas [][]byte) ([]byte, error) {
	if len(deltas) >= joinFrom {
		if out, ok := applyJoined(data, deltas); ok {
			return out, nil
		}
	}
	for _, delta := range slices.Backward(deltas) {
		var err error
		if data, err = ApplyDelta(data, delta); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// applyJoined applies deltas at once. It leaves it be, ok being false, if they are not small or not sound.
func applyJoined(base []byte, deltas [][]byte) (out []byte, ok bool) {
	target, size, need, ok := piecesOf(deltas[0])
	for i := 1; ok && i < len(deltas); i++ {
		var below []piece
		var makes int
		was := need
		if below, makes, need, ok = piecesOf(deltas[i]); !ok || makes != was {
			return nil, false
		}
		target = through(target, below)
		ok = len(target) <= fewPieces+morePieces*i
	}
	if !ok || need != len(base) {
		return nil, false
	}
	out = make([]byte, 0, size)
	for _, p := range target {
		if p.data != nil {
			out = append(out, p.data...)
		} else {
			out = append(out, base[p.at:p.at+p.n]...)
		}
	}
	return out, true
}

// piecesOf reads a delta. ok is false if it has many pieces, or is not sound.
func piecesOf(delta []byte) (pieces []piece, target, base int, ok bool) {
	baseSize, size, ops, err := parseSizes(delta)
	if err != nil {
		return nil, 0, 0, false
	}
	sum := int64(0)
	for len(ops) > 0 {
		var op deltaPart
		if op, ops, err = parseOp(ops, baseSize); err != nil || len(pieces) == fewPieces {
			return nil, 0, 0, false
		}
		sum += int64(op.n)
		pieces = append(pieces, piece(op))
	}
	return pieces, int(size), int(baseSize), sum == size
}

// through puts the pieces of what a target builds on in place of the target's copies.
func through(target, below []piece) []piece {
	starts := make([]int, len(below)+1)
	for i, p := range below {
		starts[i+1] = starts[i] + p.n
	}
	out := make([]piece, 0, len(target)+2)
	for _, p := range target {
		if p.data != nil {
			out = append(out, p)
			continue
		}
		i, _ := slices.BinarySearch(starts, p.at+1)
		for i--; p.n > 0; i++ {
			skip := p.at - starts[i]
			n := min(p.n, below[i].n-skip)
			part := piece{at: below[i].at + skip, n: n}
			if below[i].data != nil {
				part = piece{n: n, data: below[i].data[skip : skip+n]}
			}
			out = appendPiece(out, part)
			p.at, p.n = p.at+n, p.n-n
		}
	}
	return out
}

// appendPiece lets a copy that goes on where the one before ends be one with it.
func appendPiece(pieces []piece, p piece) []piece {
	if last := len(pieces) - 1; last >= 0 && p.data == nil && pieces[last].data == nil && pieces[last].at+pieces[last].n == p.at {
		pieces[last].n += p.n
		return pieces
	}
	return append(pieces, p)
}

// deltaPart is what one operation of a delta yields.
type deltaPart piece

// parseOp reads the first operation, for a base of a size, and returns those behind it.
func parseOp(ops []byte, base int64) (part deltaPart, rest []byte, err error) {
	op := ops[0]
	ops = ops[1:]
	if op&0x80 == 0 {
		n := int(op)
		if n == 0 || n > len(ops) {
			return part, nil, fmt.Errorf("delta's insert of %d bytes: %w", n, ErrCorrupt)
		}
		return deltaPart{n: n, data: ops[:n]}, ops[n:], nil
	}
	var args [7]byte
	for i := range args {
		if op&(1<<i) == 0 {
			continue
		}
		if len(ops) == 0 {
			return part, nil, fmt.Errorf("delta's copy is cut short: %w", ErrCorrupt)
		}
		args[i], ops = ops[0], ops[1:]
	}
	part.at = int(args[0]) | int(args[1])<<8 | int(args[2])<<16 | int(args[3])<<24
	part.n = int(args[4]) | int(args[5])<<8 | int(args[6])<<16
	if part.n == 0 {
		part.n = 0x10000
	}
	if int64(part.at)+int64(part.n) > base {
		return part, nil, fmt.Errorf("delta copies bytes %d to %d of a base of %d: %w", part.at, part.at+part.n, base, ErrCorrupt)
	}
	return part, ops, nil
}
