// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Recent is a view of a store that remembers what was read through it and what
// it was told to keep, within a bound: histories are walked over the same
// commits and trees again and again, and what came last is the base of what
// comes next. It is safe for concurrent use.
type Recent struct {
	Objects
	limit int

	// mu guards what follows.
	mu    sync.Mutex
	size  int
	kept  map[gitobj.ID]content
	order []gitobj.ID // of kept, the oldest first
}

type content struct {
	kind gitobj.Kind
	data []byte
}

// NewRecent returns a view that keeps up to limit bytes of content.
func NewRecent(store Objects, limit int) *Recent {
	return &Recent{Objects: store, limit: limit, kept: map[gitobj.ID]content{}}
}

// entryCost is about what keeping an object costs beside its content.
const entryCost = 128

// Get reads what is remembered, or the store.
func (r *Recent) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if c, ok := r.recall(id); ok {
		return c.kind, c.data, nil
	}
	kind, data, err := r.Objects.Get(id)
	if err == nil {
		r.mu.Lock()
		r.keepLocked(id, content{kind, data})
		r.mu.Unlock()
	}
	return kind, data, err
}

// Has looks into the store.
func (r *Recent) Has(id gitobj.ID) bool {
	if _, ok := r.recall(id); ok {
		return true
	}
	return r.Objects.Has(id)
}

// Keep remembers objects that the store has. Nobody changes their content any more.
func (r *Recent) Keep(objects []Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range objects {
		r.keepLocked(objects[i].ID, content{objects[i].Kind, objects[i].Data})
	}
}

func (r *Recent) recall(id gitobj.ID) (content, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.kept[id]
	return c, ok
}

func (r *Recent) keepLocked(id gitobj.ID, c content) {
	if _, ok := r.kept[id]; ok || len(c.data) > r.limit/4 {
		return
	}
	r.kept[id] = c
	r.order = append(r.order, id)
	r.size += len(c.data) + entryCost
	for r.size > r.limit {
		oldest := r.order[0]
		r.size -= len(r.kept[oldest].data) + entryCost
		delete(r.kept, oldest)
		r.order = r.order[1:]
	}
}
