// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"context"
	"errors"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// log is a journal as the store of one branch wants it.
type log struct {
	j *journal.Journal
	m *mux // nil: the branch is the only one there ever was
	n int  // the branch's number
}

// Append implements mvcc.Log.
func (l log) Append(ctx context.Context, frames []mvcc.Frame, durable bool) (uint64, error) {
	out := make([]journal.Frame, len(frames))
	records := false
	for i, f := range frames {
		records = records || len(f.Record) > 0
		out[i].Record = tag(l.n, f.Record)
		out[i].Objects = make([]journal.Object, len(f.Objects))
		for k, o := range f.Objects {
			out[i].Objects[k] = journal.Object(o)
		}
		out[i].Refs = make([]journal.RefUpdate, len(f.Refs))
		for k, r := range f.Refs {
			out[i].Refs[k] = journal.RefUpdate(r)
		}
	}
	if l.m == nil || !records {
		return l.append(ctx, out, durable)
	}
	l.m.begin(l.n)
	seq, err := l.append(ctx, out, durable)
	if err != nil {
		frames = nil // the journal is dead: what was written of them, nobody knows
	}
	l.m.end(l.n, seq, frames)
	return seq, err
}

func (l log) append(ctx context.Context, frames []journal.Frame, durable bool) (uint64, error) {
	places, err := l.j.Append(ctx, frames, durable)
	if err != nil {
		return 0, room(err)
	}
	if len(places) == 0 {
		return l.j.Seq(), nil
	}
	return places[len(places)-1].Seq, nil
}

// Get implements mvcc.Log.
func (l log) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	kind, data, err := l.j.Get(id)
	if errors.Is(err, journal.ErrNotFound) {
		return 0, nil, l.j.Missing(id)
	}
	return kind, data, err
}

// Ref implements mvcc.Log.
func (l log) Ref(name string) (gitobj.ID, bool) { return l.j.Ref(name) }

// Checkpoint implements mvcc.Log.
func (l log) Checkpoint(ctx context.Context, payload []byte, upTo uint64) error {
	if l.m == nil {
		return room(l.j.Checkpoint(ctx, payload, upTo))
	}
	return room(l.m.checkpoint(ctx, l.n, payload, upTo))
}

// LastCheckpoint implements mvcc.Log.
func (l log) LastCheckpoint() (payload []byte, upTo uint64, err error) {
	if l.m == nil {
		return l.j.LastCheckpoint()
	}
	t, _, err := l.m.table()
	if err != nil || l.n >= len(t) {
		return nil, 0, err
	}
	return t[l.n].payload, t[l.n].upTo, nil
}

// Replay implements mvcc.Log. Frames without a record are other writers'
// objects and refs, such as what was fetched.
func (l log) Replay(yield func(seq uint64, record []byte) error) error {
	if l.m != nil {
		return l.m.replay(l.n, yield)
	}
	return l.j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		if len(record) == 0 {
			return nil
		}
		return yield(seq, record)
	})
}
