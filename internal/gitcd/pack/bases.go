// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"fmt"
	"slices"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

const (
	// basesBytes bounds the trees that a file keeps.
	basesBytes = 4 << 20
	// baseBytes bounds one of them: chains of larger ones are quicker resolved in one go.
	baseBytes = 64 << 10
)

// bases are the trees that chains of deltas were resolved to last, by the
// offset of their entry. Whoever reads a history meets them again: the older
// tree is a delta against the newer one, or the other way round.
type bases struct {
	mu    sync.Mutex
	trees map[int64][]byte
	order []int64 // of trees, the oldest first
	size  int
}

func (b *bases) get(off int64) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.trees[off]
	return data, ok
}

func (b *bases) put(off int64, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.trees[off]; ok || len(data) > baseBytes {
		return
	}
	if b.trees == nil {
		b.trees = map[int64][]byte{}
	}
	b.trees[off] = data
	b.order = append(b.order, off)
	for b.size += len(data); b.size > basesBytes; b.order = b.order[1:] {
		b.size -= len(b.trees[b.order[0]])
		delete(b.trees, b.order[0])
	}
}

// link is a delta on the way to its base.
type link struct {
	off  int64
	data []byte
}

// At returns the object whose entry begins at off. Its content must not be changed.
func (f *File) At(off int64) (gitobj.Kind, []byte, error) {
	var chain []link
	for byID := 0; ; {
		if data, ok := f.bases.get(off); ok {
			data, err := f.apply(gitobj.KindTree, data, chain)
			return gitobj.KindTree, data, err
		}
		e, data, err := ReadEntry(f.data, off, f.end)
		if err != nil {
			return 0, nil, err
		}
		if e.Type != OfsDelta && e.Type != RefDelta {
			kind := gitobj.Kind(e.Type)
			if len(chain) > 0 && kind == gitobj.KindTree {
				f.bases.put(off, data)
			}
			data, err = f.apply(kind, data, chain)
			return kind, data, err
		}
		if e.Type == RefDelta {
			byID++
		}
		base, err := f.base(&e, off, byID)
		if err != nil {
			return 0, nil, err
		}
		chain = append(chain, link{off: off, data: data})
		off = base
	}
}

// base returns where the base of a delta is, the byID-th in its chain that is named by id.
func (f *File) base(e *Entry, off int64, byID int) (int64, error) {
	if e.Type == OfsDelta {
		if e.Distance > off-HeaderSize {
			return 0, fmt.Errorf("entry at %d: base lies before the pack: %w", off, ErrCorrupt)
		}
		return off - e.Distance, nil
	}
	at, found, err := f.Index.Find(e.Base)
	if err == nil && (!found || byID > maxDepth) {
		err = fmt.Errorf("entry at %d: base %s is not to be had: %w", off, e.Base, ErrCorrupt)
	}
	return at, err
}

// apply applies a chain of deltas, the last one first, and keeps what comes of it on the way.
func (f *File) apply(kind gitobj.Kind, data []byte, chain []link) ([]byte, error) {
	if kind != gitobj.KindTree || len(data) > baseBytes {
		deltas := make([][]byte, len(chain))
		for i, l := range chain {
			deltas[i] = l.data
		}
		out, err := applyAll(data, deltas)
		if err != nil {
			return nil, fmt.Errorf("entry at %d: %w", chain[0].off, err)
		}
		return out, nil
	}
	for _, l := range slices.Backward(chain) {
		var err error
		if data, err = ApplyDelta(data, l.data); err != nil {
			return nil, fmt.Errorf("entry at %d: %w", l.off, err)
		}
		f.bases.put(l.off, data)
	}
	return data, nil
}
