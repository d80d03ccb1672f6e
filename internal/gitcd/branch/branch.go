// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package branch joins a journal to a store, so that neither knows the other:
// one repository directory, one branch that is written.
//
//	mvcc.Store ─► Log ─► journal.Journal ─► disk
//
// # Laws
//
//	B1 Nothing added.  Every frame goes to the journal as it is; numbers are the journal's.
//	B2 Store last.     On Close the store ends before the journal, so that its last commit is kept.
package branch

import (
	"context"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Branch is a repository with the one branch that is written in it.
type Branch struct {
	Journal *journal.Journal
	Store   *mvcc.Store
}

// Open opens the repository in dir and the store of o.Branch.
func Open(ctx context.Context, fsys vfs.FS, dir string, jo journal.Options, o mvcc.Options) (*Branch, error) {
	j, err := journal.Open(ctx, fsys, dir, jo)
	if err != nil {
		return nil, err
	}
	s, err := OpenStore(ctx, j, o)
	if err != nil {
		return nil, errors.Join(err, j.Close(context.WithoutCancel(ctx)))
	}
	return &Branch{Journal: j, Store: s}, nil
}

// OpenStore opens the store of o.Branch in an open journal.
func OpenStore(ctx context.Context, j *journal.Journal, o mvcc.Options) (*mvcc.Store, error) {
	s, err := mvcc.Open(ctx, log{j}, o)
	if err != nil {
		return nil, fmt.Errorf("open branch %s: %w", o.Branch, err)
	}
	return s, nil
}

// Close commits and keeps everything.
func (b *Branch) Close(ctx context.Context) error {
	return errors.Join(b.Store.Close(ctx), b.Journal.Close(ctx))
}

// log is a journal as mvcc wants it.
type log struct{ j *journal.Journal }

// Append implements mvcc.Log.
func (l log) Append(ctx context.Context, frames []mvcc.Frame, durable bool) (uint64, error) {
	out := make([]journal.Frame, len(frames))
	for i, f := range frames {
		out[i].Record = f.Record
		out[i].Objects = make([]journal.Object, len(f.Objects))
		for k, o := range f.Objects {
			out[i].Objects[k] = journal.Object(o)
		}
		out[i].Refs = make([]journal.RefUpdate, len(f.Refs))
		for k, r := range f.Refs {
			out[i].Refs[k] = journal.RefUpdate(r)
		}
	}
	places, err := l.j.Append(ctx, out, durable)
	if err != nil {
		return 0, err
	}
	if len(places) == 0 {
		return l.j.Seq(), nil
	}
	return places[len(places)-1].Seq, nil
}

// Get implements mvcc.Log.
func (l log) Get(id gitobj.ID) (gitobj.Kind, []byte, error) { return l.j.Get(id) }

// Ref implements mvcc.Log.
func (l log) Ref(name string) (gitobj.ID, bool) { return l.j.Ref(name) }

// Checkpoint implements mvcc.Log.
func (l log) Checkpoint(ctx context.Context, payload []byte, upTo uint64) error {
	return l.j.Checkpoint(ctx, payload, upTo)
}

// LastCheckpoint implements mvcc.Log.
func (l log) LastCheckpoint() (payload []byte, upTo uint64, err error) { return l.j.LastCheckpoint() }

// Replay implements mvcc.Log. Frames without a record are other writers'
// objects and refs, such as what was fetched.
func (l log) Replay(yield func(seq uint64, record []byte) error) error {
	return l.j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		if len(record) == 0 {
			return nil
		}
		return yield(seq, record)
	})
}
