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
	if len(delta) >= len(data)/8 { // more than one place has changed
		if lines := new(pack.LineDelta).Make(base, data); len(lines) < len(delta) {
			delta = lines
		}
	}
	return delta, len(delta) < len(data)/2
}

// treeDelta edits a tree entry by entry: what lies between two changes is copied.
func treeDelta(base, data []byte) ([]byte, bool) {
	from, err := gitobj.NewCursor(base)
	if err != nil {
		return nil, false
	}
	to, err := gitobj.NewCursor(data)
	if err != nil {
		return nil, false
	}
	var edits []pack.Edit
	for !from.Done() || !to.Done() {
		if same, err := passSame(&from, &to); err != nil {
			return nil, false
		} else if same {
			continue
		}
		edit := pack.Edit{At: from.At}
		order := compareFirst(&from, &to)
		if order <= 0 {
			edit.Cut = len(from.Entry())
			err = from.Advance()
		}
		if order >= 0 && err == nil {
			edit.Insert = to.Entry()
			err = to.Advance()
		}
		if err != nil {
			return nil, false
		}
		edits = appendEdit(edits, edit)
	}
	return pack.EditDelta(len(base), edits...), true
}

// passSame moves both cursors past the entries that come next in both trees,
// and says whether there were any.
func passSame(from, to *gitobj.Cursor) (bool, error) {
	same := gitobj.Common(from.Data[from.At:], to.Data[to.At:])
	if from.Done() || len(from.Entry()) > same {
		return false, nil
	}
	was := from.At
	if err := from.Pass(same); err != nil {
		return false, err
	}
	return true, to.Follow(from.At - was)
}

// compareFirst says which tree's next entry comes first; at least one has one.
func compareFirst(a, b *gitobj.Cursor) int {
	switch {
	case a.Done():
		return 1
	case b.Done():
		return -1
	default:
		return a.Compare(b.Name, b.Dir)
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
