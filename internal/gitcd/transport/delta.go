// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// minDelta is the size from which an object is worth a delta.
const minDelta = 256

// deltaOf returns a delta of an object against another of its kind, if that
// is much smaller than the object would be, compressed as it goes on the wire.
func deltaOf(kind gitobj.Kind, base, data []byte) ([]byte, bool) {
	if len(data) < minDelta {
		return nil, false
	}
	if kind == gitobj.KindTree { // ids do not compress
		delta, ok := treeDelta(base, data)
		return delta, ok && len(delta) < len(data)/2
	}
	delta := pack.Delta(base, data)
	return delta, len(delta) < len(data)/8
}

// treeDelta edits a tree entry by entry: what lies between two changes is copied.
func treeDelta(base, data []byte) ([]byte, bool) {
	from, err := gitobj.DecodeTree(base)
	if err != nil {
		return nil, false
	}
	to, err := gitobj.DecodeTree(data)
	if err != nil || from.Size() != len(base) || to.Size() != len(data) {
		return nil, false // a mode is written in an unusual way
	}
	var edits []pack.Edit
	at, next := 0, 0 // in base, and in data
	for len(from) > 0 || len(to) > 0 {
		order := compareFirst(from, to)
		var cut, insert int
		if order <= 0 {
			cut = gitobj.EntrySize(from[0])
		}
		if order >= 0 {
			insert = gitobj.EntrySize(to[0])
		}
		if order != 0 || from[0] != to[0] {
			edits = appendEdit(edits, pack.Edit{At: at, Cut: cut, Insert: data[next : next+insert]})
		}
		from, to = from[min(cut, 1):], to[min(insert, 1):]
		at, next = at+cut, next+insert
	}
	return pack.EditDelta(len(base), edits...), true
}

// compareFirst says which tree's first entry comes first; at least one tree has entries.
func compareFirst(a, b gitobj.Tree) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	default:
		return a[0].Compare(b[0])
	}
}

// appendEdit adds an edit, to the last one if that ends where it begins.
func appendEdit(edits []pack.Edit, e pack.Edit) []pack.Edit {
	if n := len(edits); n > 0 && edits[n-1].At+edits[n-1].Cut == e.At {
		last := &edits[n-1]
		last.Cut += e.Cut
		last.Insert = append(slices.Clip(last.Insert), e.Insert...)
		return edits
	}
	return append(edits, e)
}
