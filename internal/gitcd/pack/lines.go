// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// LineDelta makes deltas between texts that look alike line by line, as
// indented objects of one kind do, without an index of the base: it walks both
// once and looks a few lines ahead where they part. It keeps the memory of the
// last delta for the next.
type LineDelta struct {
	base, target []byte
	delta        []byte
	told         int  // of the target
	last         same // not yet told
}

// same is n bytes that are at one place of the base and at another of the target.
type same struct{ base, target, n int }

const (
	// lineWindow is how many lines of the base are looked through for one of the target's.
	lineWindow = 16
	// leastCopy is from where on a copy takes less than the bytes themselves.
	leastCopy = 8
)

// Make returns a delta from base to target. It is valid until the next call.
func (d *LineDelta) Make(base, target []byte) []byte {
	d.base, d.target, d.told, d.last = base, target, 0, same{}
	d.delta = appendSize(appendSize(d.delta[:0], len(base)), len(target))
	at, back := 0, 0 // in the base: the next line; the last one that was taken for a changed one
	for t := 0; t < len(target); {
		line := lineAt(target, t)
		if b := lineAt(base, at); !bytes.Equal(b, line) {
			found, ok := d.ahead(back, line)
			switch {
			case ok:
				at = found
			case d.changed(at, t, b, line):
				back, at, t = at, at+len(b), t+len(line)
				continue
			default: // a line of the target's own
				t += len(line)
				continue
			}
		}
		d.match(same{base: at, target: t, n: len(line)})
		at, t = at+len(line), t+len(line)
		back = at
	}
	d.tell(same{base: len(base), target: len(target)})
	d.base, d.target = nil, nil
	return d.delta
}

// lineAt returns the line at a place of a text, with its end.
func lineAt(text []byte, at int) []byte {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return text[at : at+n+1]
	}
	return text[at:]
}

// ahead finds a line among the next ones of the base.
func (d *LineDelta) ahead(at int, line []byte) (int, bool) {
	for range lineWindow {
		b := lineAt(d.base, at)
		if len(b) == 0 {
			break
		}
		if bytes.Equal(b, line) {
			return at, true
		}
		at += len(b)
	}
	return 0, false
}

// changed takes a line of the target for a changed one of the base, if they
// begin or end alike.
func (d *LineDelta) changed(at, t int, b, line []byte) bool {
	head := commonPrefix(b, line)
	tail := commonSuffix(b[head:], line[head:])
	if head+tail < leastCopy {
		return false
	}
	d.match(same{base: at, target: t, n: head})
	d.match(same{base: at + len(b) - tail, target: t + len(line) - tail, n: tail})
	return true
}

// match notes what is the same. What goes on from the last match is one with it.
func (d *LineDelta) match(m same) {
	switch {
	case m.base == d.last.base+d.last.n && m.target == d.last.target+d.last.n:
		d.last.n += m.n
	case m.n > 0:
		d.tell(m)
	}
}

// tell writes the last match, and what is before it, if it is worth a copy.
func (d *LineDelta) tell(next same) {
	if l := d.last; l.n >= leastCopy {
		d.delta = appendInsert(d.delta, d.target[d.told:l.target])
		d.delta = appendCopy(d.delta, l.base, l.n)
		d.told = l.target + l.n
	}
	if next.target == len(d.target) {
		d.delta = appendInsert(d.delta, d.target[d.told:])
	}
	d.last = next
}

func commonPrefix(a, b []byte) int {
	n, most := 0, min(len(a), len(b))
	for ; n+8 <= most; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

func commonSuffix(a, b []byte) int {
	n, most := 0, min(len(a), len(b))
	for n < most && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}
