// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"encoding/binary"

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
	// leavesBatched says that the merge leaves what is of grain Batch uncommitted: the next transaction has it again.
	leavesBatched
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
