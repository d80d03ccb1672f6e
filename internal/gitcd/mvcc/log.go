// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Object is a Git object to be written.
type Object struct {
	Kind gitobj.Kind
	ID   gitobj.ID
	Data []byte
	// Base and Delta say, if known, how Data differs from an object written before.
	Base  gitobj.ID
	Delta []byte
}

// RefUpdate moves a ref from Old to New. A zero Old says that there was none.
type RefUpdate struct {
	Name     string
	Old, New gitobj.ID
}

// Frame is what becomes durable together. Record is opaque to the log; each
// part may be empty.
type Frame struct {
	Record  []byte
	Objects []Object
	Refs    []RefUpdate
}

// Log is all that mvcc needs of durable storage. It is safe for concurrent use.
type Log interface {
	// Append writes the frames, whole or not at all, behind all that was appended before. With durable it returns
	// after a sync that covers them and everything appended before them; without, it does not wait for a sync that
	// is under way. No frames and durable is a barrier. The objects can be had from Get as soon as it returns. It
	// returns the number of the last record written; numbers grow. An error that is ErrNoSpace says that there was no
	// room and nothing was written; after any other one nothing can be appended any more.
	Append(ctx context.Context, frames []Frame, durable bool) (seq uint64, err error)
	// Get returns an object, or an error that says that there is none.
	Get(id gitobj.ID) (gitobj.Kind, []byte, error)
	// Ref returns what a ref points to.
	Ref(name string) (gitobj.ID, bool)
	// Checkpoint keeps payload in place of all records up to and including upTo, once what was appended before is durable.
	// An error that is ErrNoSpace leaves the last checkpoint.
	Checkpoint(ctx context.Context, payload []byte, upTo uint64) error
	// LastCheckpoint returns the last checkpoint, nil and 0 if there is none.
	LastCheckpoint() (payload []byte, upTo uint64, err error)
	// Replay yields, in order, the records that the last checkpoint does not cover.
	Replay(yield func(seq uint64, record []byte) error) error
}

// untouched is a log that is only read. What opening a store writes is written
// again when it is opened for good.
type untouched struct{ Log }

// Append implements Log.
func (l untouched) Append(context.Context, []Frame, bool) (seq uint64, err error) { return 0, nil }

// Checkpoint implements Log.
func (l untouched) Checkpoint(context.Context, []byte, uint64) error { return nil }
