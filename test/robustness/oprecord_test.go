// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"encoding/binary"
	"fmt"
)

// The kinds of ops that a record has.
const (
	opPut      = 1
	opDelete   = 2
	opGrant    = 3
	opRevoke   = 4
	opCompact  = 5
	opRaise    = 6
	opSilence  = 7
	opRemain   = 8
	opForward  = 9
	opPutAt    = 10
	opDeleteAt = 11
)

// op is one recorded change.
type op struct {
	kind     byte
	key      string
	mod      int64 // of opCompact: what is compacted
	lease    int64
	blob     [20]byte
	isPlaced bool
}

// reader reads numbers, strings and differences. Its first failure is kept.
type reader struct {
	b   []byte
	err error

	lastMod int64
	lastKey string
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		if r.err == nil {
			r.err = fmt.Errorf("%d bytes are wanted and %d left", n, len(r.b))
		}
		r.b = nil
		return make([]byte, min(n, 20))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	r.take(uint64(max(size, 0)))
	if size <= 0 && r.err == nil {
		r.err = fmt.Errorf("a number is missing, %d bytes from the end", len(r.b))
	}
	return n
}

// int reads a signed number: the sign is the lowest bit.
func (r *reader) int() int64 {
	n := r.uint()
	if n&1 != 0 {
		return ^int64(n >> 1)
	}
	return int64(n >> 1)
}

func (r *reader) key() string {
	same := min(r.uint(), uint64(len(r.lastKey)))
	r.lastKey = r.lastKey[:same] + string(r.take(r.uint()))
	return r.lastKey
}

func (r *reader) mod() int64 {
	r.lastMod += r.int()
	return r.lastMod
}

// transactions reads a record's transactions. Records of other kinds, of the committer and of sessions, have none.
func transactions(record []byte) ([][]op, error) {
	if len(record) < 2 || record[0] != 1 {
		return nil, fmt.Errorf("the format of op record %x is unknown", record[:min(2, len(record))])
	}
	if record[1] != 1 {
		return nil, nil
	}
	r := &reader{b: record[2:]}
	r.uint() // number
	r.int()  // time
	var out [][]op
	for range r.uint() {
		if flags := r.take(1)[0]; flags&4 != 0 {
			return nil, fmt.Errorf("a merge is not part of this traffic")
		}
		var ops []op
		for range r.uint() {
			ops = append(ops, r.op())
			if r.err != nil {
				return nil, fmt.Errorf("read op record: %w", r.err)
			}
		}
		out = append(out, ops)
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("%d bytes are behind an op record", len(r.b))
	}
	return out, r.err
}

func (r *reader) op() (o op) {
	o.kind = r.take(1)[0] & 15
	switch o.kind {
	case opPutAt:
		o.kind, o.isPlaced = opPut, true
	case opDeleteAt:
		o.kind, o.isPlaced = opDelete, true
	}
	switch o.kind {
	case opPut:
		o.key, o.mod = r.key(), r.mod()
		r.int() // since creation
		r.int() // version
		o.lease = r.int()
		copy(o.blob[:], r.take(20))
		r.int() // size
	case opDelete:
		o.key, o.mod = r.key(), r.mod()
	case opGrant, opRemain:
		o.lease = r.int()
		r.int() // time to live
	case opRevoke:
		o.lease = r.int()
	case opCompact, opForward:
		o.mod = r.int()
	case opRaise, opSilence:
		r.take(1)
	default:
		r.err = fmt.Errorf("op kind %d is unknown", o.kind)
	}
	if o.isPlaced {
		r.uint()
	}
	return o
}
