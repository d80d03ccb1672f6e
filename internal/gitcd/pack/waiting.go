// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// waiter is a delta whose base is not known yet.
type waiter struct {
	at    int // the entry
	delta []byte
	base  gitobj.ID // once it is known
}

// waiting are the deltas that came before their bases.
type waiting struct {
	byID    map[gitobj.ID][]waiter
	byEntry map[int][]waiter
	count   int
	bytes   int64
}

func newWaiting() waiting {
	return waiting{byID: map[gitobj.ID][]waiter{}, byEntry: map[int][]waiter{}}
}

func (w *waiting) behindID(id gitobj.ID, d waiter, limit int64) error {
	w.byID[id] = append(w.byID[id], d)
	return w.grow(d, limit)
}

func (w *waiting) behindEntry(at int, d waiter, limit int64) error {
	w.byEntry[at] = append(w.byEntry[at], d)
	return w.grow(d, limit)
}

func (w *waiting) grow(d waiter, limit int64) error {
	w.count++
	if w.bytes += int64(len(d.delta)); w.bytes > limit {
		return fmt.Errorf("more than %d bytes of deltas before their bases: %w", limit, ErrLimit)
	}
	return nil
}

// release returns the deltas whose base is the object of an entry.
func (w *waiting) release(at int, id gitobj.ID) []waiter {
	out := append(w.byID[id], w.byEntry[at]...)
	delete(w.byID, id)
	delete(w.byEntry, at)
	for i := range out {
		out[i].base = id
		w.count--
		w.bytes -= int64(len(out[i].delta))
	}
	return out
}

// recent keeps the latest objects, as bases, within a number of bytes.
type recent struct {
	objects map[gitobj.ID]Object
	order   []gitobj.ID
	bytes   int64
}

func (r *recent) get(id gitobj.ID) (Object, bool) {
	o, ok := r.objects[id]
	return o, ok
}

func (r *recent) add(o Object, limit int64) {
	if r.objects == nil {
		r.objects = map[gitobj.ID]Object{}
	}
	if _, ok := r.objects[o.ID]; ok {
		return
	}
	r.objects[o.ID] = Object{Kind: o.Kind, ID: o.ID, Data: o.Data}
	r.order = append(r.order, o.ID)
	r.bytes += int64(len(o.Data))
	for r.bytes > limit && len(r.order) > 1 {
		r.bytes -= int64(len(r.objects[r.order[0]].Data))
		delete(r.objects, r.order[0])
		r.order = r.order[1:]
	}
}
