// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
)

// tableMagic begins the checkpoint of a journal with several branches. A
// store's own checkpoint begins with a byte that is not zero, as its records do.
const tableMagic = "\x00gitcdb\x01"

// errTable says that the table of branches cannot be read.
var errTable = errors.New("the table of branches in the checkpoint is malformed; restore the repository from a clone")

// entry is a branch in the table. Its number is its place.
type entry struct {
	name    string // of the ref
	upTo    uint64 // the last frame that payload covers
	payload []byte // the store's last checkpoint
	tail    []kept // records behind upTo, if the branch is not open
}

// kept is a record that is held in the table.
type kept struct {
	seq    uint64
	record []byte
}

// table is all branches that a journal ever had, by number. On disk it is
//
//	table  = magic count entry...
//	entry  = name upTo payload count kept...
//	kept   = seq record
//
// Numbers are uvarints; what is bytes has its length in front.
type table []entry

func (t table) encode() []byte {
	b := []byte(tableMagic)
	number := func(n uint64) { b = binary.AppendUvarint(b, n) }
	data := func(d []byte) {
		number(uint64(len(d)))
		b = append(b, d...)
	}
	number(uint64(len(t)))
	for _, e := range t {
		data([]byte(e.name))
		number(e.upTo)
		data(e.payload)
		number(uint64(len(e.tail)))
		for _, k := range e.tail {
			number(k.seq)
			data(k.record)
		}
	}
	return b
}

// isTable says whether a checkpoint holds a table, rather than one store's own.
func isTable(checkpoint []byte) bool { return bytes.HasPrefix(checkpoint, []byte(tableMagic)) }

func decodeTable(checkpoint []byte) (table, error) {
	b, bad := checkpoint[len(tableMagic):], false
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[size:]
		return n
	}
	data := func() []byte {
		n := number()
		if n > uint64(len(b)) {
			bad, b = true, nil
			return nil
		}
		d := b[:n]
		b = b[n:]
		return d
	}
	var t table
	for n := number(); n > 0 && !bad; n-- {
		e := entry{name: string(data()), upTo: number(), payload: data()}
		for k := number(); k > 0 && !bad; k-- {
			e.tail = append(e.tail, kept{seq: number(), record: data()})
		}
		if len(e.payload) == 0 {
			e.payload = nil
		}
		t = append(t, e)
	}
	if bad || len(b) > 0 {
		return nil, errTable
	}
	return t, nil
}

// readTable returns the table of a journal, nil if it has none yet.
func readTable(j *journal.Journal) (table, error) {
	checkpoint, _, err := j.LastCheckpoint()
	if err != nil || !isTable(checkpoint) {
		return nil, err
	}
	return decodeTable(checkpoint)
}

// tag marks a record as that of a branch.
func tag(n int, record []byte) []byte {
	if n == 0 || len(record) == 0 {
		return record
	}
	out := make([]byte, 1, 1+binary.MaxVarintLen32+len(record))
	out = binary.AppendUvarint(out, uint64(n)) //nolint:gosec // numbers are not negative
	return append(out, record...)
}

// untag returns a record as its store wrote it, and the number of the branch.
func untag(seq uint64, record []byte) (n int, own []byte, err error) {
	if record[0] != 0 {
		return 0, record, nil
	}
	number, size := binary.Uvarint(record[1:])
	if size <= 0 || number == 0 || number > 1<<20 {
		return 0, nil, fmt.Errorf("record %d names no branch; read it with the version of gitcd that wrote it", seq)
	}
	return int(number), record[1+size:], nil
}
