// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// The op record. These numbers are on disk: they are added to, never changed.
//
//	record  = format kind body                      one byte each, then
//	batch   = number time txns txn...               what one batch did
//	txn     = flags [theirs base message] ops op...
//	op      = kind grain key ...                    see encoder.op
//	commit  = number txn head                       how far the committer is
//	session = number time take epoch name mail holder
//	keys    = text                                  where keys lie, if not where they say
//
// Numbers are varints, revisions are differences from the one before.
const (
	recordFormat = 1

	recordBatch   = 1
	recordCommit  = 2
	recordSession = 3
	recordKeys    = 5
)

// opKind says what an op does.
type opKind uint8

const (
	opPut     opKind = 1
	opDelete  opKind = 2
	opGrant   opKind = 3
	opRevoke  opKind = 4
	opCompact opKind = 5
	// opRaise and opSilence are about an alarm.
	opRaise   opKind = 6
	opSilence opKind = 7
	// opRemain says how much is left of a lease's time; 0 is all of it.
	opRemain opKind = 8
	// opForward moves the revision on, without a change.
	opForward opKind = 9
	// opPutAt and opDeleteAt are how an opPut and an opDelete are recorded that say which of their revision's changes
	// they are. Others follow the one before.
	opPutAt    opKind = 10
	opDeleteAt opKind = 11
	// opTreePut and opTreeDelete change what the tree has and the store does not serve. Their key is the one in the tree.
	opTreePut    opKind = 12
	opTreeDelete opKind = 13
)

// op is one change, as it is recorded.
type op struct {
	kind  opKind
	grain layout.Grain
	alarm Alarm
	// placed says that sub is known: which of the revision's changes this is.
	placed bool
	sub    uint32
	key    string

	mod, create, ver int64 // mod is also the revision that opCompact compacts
	lease            LeaseID
	ttl              int64 // seconds
	blob             gitobj.ID
	size             int64

	before int64 // of opRemain: what it replaces, for an undo; not recorded
}

// txnFlags are what the committer must know of a transaction.
type txnFlags uint8

const (
	// endsCommit says that a commit ends here, if there is something of grain Full to be committed.
	endsCommit txnFlags = 1 << iota
	// takesBatched says that what is of grain Batch is enough for a commit.
	takesBatched
	// isMerge says that the transaction is a merge.
	isMerge
	// takesTheirs says that the merge makes the branch's tree theirs, with what is no key's.
	takesTheirs
)

// txnRecord is one transaction, as it is recorded.
type txnRecord struct {
	flags txnFlags
	ops   []op

	theirs, base gitobj.ID
	message      string
}

// batchRecord is what one batch did.
type batchRecord struct {
	number uint64
	time   int64 // Unix nanoseconds, never before the batch before
	txns   []txnRecord
}

// place is where the committer is: behind a transaction of a batch.
type place struct {
	batch uint64
	txn   int
}

func (p place) before(q place) bool {
	return p.batch < q.batch || (p.batch == q.batch && p.txn < q.txn)
}

// commitRecord says that all up to a place is in the history of head.
type commitRecord struct {
	upTo place
	head gitobj.ID
}

// session is who writes from here on.
type session struct {
	number      uint64
	time        int64
	take        bool // whether a commit says so
	epoch       int64
	name, email string
	holder      string
}

func (s session) same(t session) bool {
	return s.epoch == t.epoch && s.name == t.name && s.email == t.email && s.holder == t.holder
}

// encoder appends to b. lastMod and lastKey are what differences are taken from.
type encoder struct {
	b       []byte
	lastMod int64
	lastKey string
}

func (e *encoder) uint(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) int(n int64)   { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) id(i gitobj.ID) {
	e.b = append(e.b, i[:]...)
}

func (e *encoder) length(n int) { e.uint(uint64(n)) } //nolint:gosec // lengths are not negative

func (e *encoder) string(s string) {
	e.length(len(s))
	e.b = append(e.b, s...)
}

// key writes what differs from the key before: kin have long prefixes in common.
func (e *encoder) key(k string) {
	n := 0
	for n < len(k) && n < len(e.lastKey) && k[n] == e.lastKey[n] {
		n++
	}
	e.length(n)
	e.string(k[n:])
	e.lastKey = k
}

func (e *encoder) mod(rev int64) {
	e.int(rev - e.lastMod)
	e.lastMod = rev
}

// recordedKind is the kind by which an op is recorded.
func (o *op) recordedKind() opKind {
	switch {
	case o.placed && o.kind == opPut:
		return opPutAt
	case o.placed && o.kind == opDelete:
		return opDeleteAt
	default:
		return o.kind
	}
}

func (e *encoder) op(o *op) {
	e.b = append(e.b, byte(o.recordedKind())|byte(o.grain)<<4)
	switch o.kind {
	case opPut:
		e.key(o.key)
		e.mod(o.mod)
		e.int(o.mod - o.create)
		e.int(o.ver)
		e.int(int64(o.lease))
		e.id(o.blob)
		e.int(o.size)
	case opDelete:
		e.key(o.key)
		e.mod(o.mod)
	case opTreePut:
		e.key(o.key)
		e.id(o.blob)
	case opTreeDelete:
		e.key(o.key)
	case opGrant, opRemain:
		e.int(int64(o.lease))
		e.int(o.ttl)
	case opRevoke:
		e.int(int64(o.lease))
	case opCompact, opForward:
		e.int(o.mod)
	case opRaise, opSilence:
		e.b = append(e.b, byte(o.alarm))
	case opPutAt, opDeleteAt: // only on disk
	}
	if o.placed {
		e.uint(uint64(o.sub))
	}
}

func (e *encoder) txn(t *txnRecord) {
	e.b = append(e.b, byte(t.flags))
	if t.flags&isMerge != 0 {
		e.id(t.theirs)
		e.id(t.base)
		e.string(t.message)
	}
	e.length(len(t.ops))
	for i := range t.ops {
		e.op(&t.ops[i])
	}
}

func (b *batchRecord) encode() []byte {
	e := encoder{b: []byte{recordFormat, recordBatch}}
	e.uint(b.number)
	e.int(b.time)
	e.length(len(b.txns))
	for i := range b.txns {
		e.txn(&b.txns[i])
	}
	return e.b
}

func (c commitRecord) encode() []byte {
	e := encoder{b: []byte{recordFormat, recordCommit}}
	e.place(c.upTo)
	e.id(c.head)
	return e.b
}

func (e *encoder) place(p place) {
	e.uint(p.batch)
	e.int(int64(p.txn))
}

// keysRecord says where keys lie from here on.
func keysRecord(text string) []byte {
	e := encoder{b: []byte{recordFormat, recordKeys}}
	e.string(text)
	return e.b
}

func (s session) encode() []byte {
	e := encoder{b: []byte{recordFormat, recordSession}}
	e.session(s)
	return e.b
}

func (e *encoder) session(s session) {
	e.uint(s.number)
	e.int(s.time)
	e.bool(s.take)
	e.int(s.epoch)
	e.string(s.name)
	e.string(s.email)
	e.string(s.holder)
}

func (e *encoder) bool(b bool) {
	if b {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

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
