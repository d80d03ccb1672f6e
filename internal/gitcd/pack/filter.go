// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"encoding/binary"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// A store with many packs asks most of them in vain. A filter says so without
// reading: of a thousand ids that a pack does not have it lets one or two pass.
const (
	filterBits   = 16 // for each id
	filterProbes = 5
	// filterMost is the number of objects beyond which a pack's filter would take too much memory.
	filterMost = 8 << 20
)

// filter is a Bloom filter. Ids are hashes already: their words say which bits.
type filter []uint64

func newFilter(n int) filter { return make(filter, (n*filterBits+63)/64+1) }

// bit returns the place of the i-th bit of an id.
func (f filter) bit(id *gitobj.ID, i int) (word, mask uint64) {
	h := uint64(binary.LittleEndian.Uint32(id[4*i:]))
	at := h * (uint64(len(f)) * 64) >> 32
	return at / 64, 1 << (at % 64)
}

func (f filter) add(id *gitobj.ID) {
	for i := range filterProbes {
		word, mask := f.bit(id, i)
		f[word] |= mask
	}
}

// may says whether an id may have been added.
func (f filter) may(id *gitobj.ID) bool {
	for i := range filterProbes {
		if word, mask := f.bit(id, i); f[word]&mask == 0 {
			return false
		}
	}
	return true
}

// filtered says whether the index does not have an id, as far as memory can
// tell. The first one asked reads all ids.
func (x *Index) filtered(id gitobj.ID) bool {
	x.once.Do(func() { x.filter = x.readFilter() })
	return x.filter != nil && !x.filter.may(&id)
}

// readFilter returns the filter of all ids, nil if there can be none: then reading decides.
func (x *Index) readFilter() filter {
	n := x.Count()
	if n == 0 || n > filterMost {
		return nil
	}
	f := newFilter(n)
	buf := make([]byte, min(n, 4096)*gitobj.IDSize)
	for at := 0; at < n; {
		ids := buf[:min(n-at, 4096)*gitobj.IDSize]
		if readFull(x.r, ids, idsAt+int64(at)*gitobj.IDSize) != nil {
			return nil
		}
		at += len(ids) / gitobj.IDSize
		for ; len(ids) > 0; ids = ids[gitobj.IDSize:] {
			f.add((*gitobj.ID)(ids))
		}
	}
	return f
}
