// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// decoder reads what encoder wrote. After the first fault all reads give zeros and err says what and where.
type decoder struct {
	b, all  []byte
	err     error
	lastMod int64
	lastKey string
}

func newDecoder(b []byte) *decoder { return &decoder{b: b, all: b} }

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("decode op record at byte %d of %d: %s: %w", len(d.all)-len(d.b), len(d.all), what, ErrBadRecord)
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail("no number")
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail("no number")
		return 0
	}
	d.b = d.b[size:]
	return n
}

// length reads how many there are of what takes at least one byte each.
func (d *decoder) length() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail("more announced than there is")
		return 0
	}
	return int(n) //nolint:gosec // not more than there are bytes
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail("cut short")
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) string() string { return string(d.bytes(d.length())) }

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (d *decoder) bool() bool { return d.byte() != 0 }

func (d *decoder) id() (id gitobj.ID) {
	copy(id[:], d.bytes(gitobj.IDSize))
	return id
}

func (d *decoder) key() string {
	n := d.uint()
	if n > uint64(len(d.lastKey)) {
		d.fail("key begins with more than the one before has")
		return ""
	}
	d.lastKey = d.lastKey[:n] + d.string()
	return d.lastKey
}

func (d *decoder) mod() int64 {
	d.lastMod += d.int()
	return d.lastMod
}

func (d *decoder) op() (o op) {
	head := d.byte()
	o.kind, o.grain = opKind(head&0x0f), layout.Grain(head>>4)
	switch o.kind {
	case opPutAt:
		o.kind, o.placed = opPut, true
	case opDeleteAt:
		o.kind, o.placed = opDelete, true
	default:
	}
	switch o.kind {
	case opPut:
		o.key, o.mod = d.key(), d.mod()
		o.create = o.mod - d.int()
		o.ver, o.lease, o.blob, o.size = d.int(), LeaseID(d.int()), d.id(), d.int()
	case opDelete:
		o.key, o.mod = d.key(), d.mod()
	case opTreePut:
		o.key, o.blob = d.key(), d.id()
	case opTreeDelete:
		o.key = d.key()
	case opGrant, opRemain:
		o.lease, o.ttl = LeaseID(d.int()), d.int()
	case opRevoke:
		o.lease = LeaseID(d.int())
	case opCompact, opForward:
		o.mod = d.int()
	case opRaise, opSilence:
		o.alarm = Alarm(d.byte())
	default:
		d.fail(fmt.Sprintf("op kind %d is unknown; read it with the version of gitcd that wrote it", o.kind))
	}
	if o.placed {
		o.sub = uint32(d.uint()) //nolint:gosec // a revision has fewer than 4G changes
	}
	return o
}

func (d *decoder) txn() (t txnRecord) {
	t.flags = txnFlags(d.byte())
	if t.flags&isMerge != 0 {
		t.theirs, t.base, t.message = d.id(), d.id(), d.string()
	}
	t.ops = make([]op, d.length())
	for i := range t.ops {
		t.ops[i] = d.op()
	}
	return t
}

func (d *decoder) batch() (b batchRecord) {
	b.number, b.time = d.uint(), d.int()
	b.txns = make([]txnRecord, d.length())
	for i := range b.txns {
		b.txns[i] = d.txn()
	}
	return b
}

func (d *decoder) place() place { return place{batch: d.uint(), txn: int(d.int())} }

func (d *decoder) commit() commitRecord { return commitRecord{upTo: d.place(), head: d.id()} }

func (d *decoder) session() (s session) {
	s.number, s.time, s.take, s.epoch = d.uint(), d.int(), d.bool(), d.int()
	s.name, s.email, s.holder = d.string(), d.string(), d.string()
	return s
}

// header reads the first two bytes of a record and returns its kind.
func (d *decoder) header() byte {
	if format := d.byte(); format != recordFormat && d.err == nil {
		d.fail(fmt.Sprintf("format %d is unknown; read it with the version of gitcd that wrote it", format))
	}
	return d.byte()
}

// end finds what is left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("more than the record")
	}
	return d.err
}
