// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import "github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"

// Recent is a view of a store that remembers what was read through it, within
// a bound: histories are walked over the same commits and trees again and
// again. It is not safe for concurrent use.
type Recent struct {
	Objects
	limit int
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
	if c, ok := r.kept[id]; ok {
		return c.kind, c.data, nil
	}
	kind, data, err := r.Objects.Get(id)
	if err != nil || len(data) > r.limit/8 {
		return kind, data, err
	}
	r.kept[id] = content{kind, data}
	r.order = append(r.order, id)
	r.size += len(data) + entryCost
	for r.size > r.limit {
		oldest := r.order[0]
		r.size -= len(r.kept[oldest].data) + entryCost
		delete(r.kept, oldest)
		r.order = r.order[1:]
	}
	return kind, data, nil
}

// Has looks into the store.
func (r *Recent) Has(id gitobj.ID) bool {
	if _, ok := r.kept[id]; ok {
		return true
	}
	return r.Objects.Has(id)
}
