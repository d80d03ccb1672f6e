// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// KeptBy yields what a checkpoint of a store names: the values of its keys and
// of their history since the last compaction, what is to be committed, and the
// head. No commit may reach them, but the store that is opened with the
// checkpoint reads them, and so does the one that wrote it.
func KeptBy(payload []byte, yield func(gitobj.Kind, gitobj.ID)) error {
	d := newDecoder(payload)
	if kind := d.header(); kind != recordCheckpoint && d.err == nil {
		d.fail("not a checkpoint")
	}
	d.int()
	d.int()
	d.uint()
	d.int()
	d.session()
	for range d.length() {
		d.int()
		d.int()
	}
	d.place()
	keep(gitobj.KindCommit, d.id(), yield)
	d.bool()
	for range d.length() {
		d.key()
		d.byte()
		keep(gitobj.KindBlob, d.id(), yield)
	}
	for range 2 { // keys, then events
		for range d.length() {
			keep(gitobj.KindBlob, d.op().blob, yield)
		}
	}
	if d.err != nil {
		return fmt.Errorf("read checkpoint: %w", d.err)
	}
	return nil
}

// KeptByRecord yields what an op record names.
func KeptByRecord(record []byte, yield func(gitobj.Kind, gitobj.ID)) error {
	d := newDecoder(record)
	switch d.header() {
	case recordBatch:
		b := d.batch()
		for i := range b.txns {
			keep(gitobj.KindCommit, b.txns[i].theirs, yield)
			for k := range b.txns[i].ops {
				keep(gitobj.KindBlob, b.txns[i].ops[k].blob, yield)
			}
		}
	case recordCommit:
		keep(gitobj.KindCommit, d.commit().head, yield)
	case recordSession:
	default:
		d.fail("a record of a kind that is unknown; read it with the version of gitcd that wrote it")
	}
	return d.err
}

func keep(kind gitobj.Kind, id gitobj.ID, yield func(gitobj.Kind, gitobj.ID)) {
	if !id.IsZero() {
		yield(kind, id)
	}
}
