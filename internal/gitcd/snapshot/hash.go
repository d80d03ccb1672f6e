// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// HashKV computes etcd's hash of changes, which are given to it in the order of
// their revisions, with their values or with the sums of these.
type HashKV struct {
	sum uint32
	buf []byte
}

// NewHashKV begins a hash.
func NewHashKV() *HashKV {
	return &HashKV{sum: crc32.Checksum(bucketKey, castagnoli)}
}

// Add adds a change.
func (h *HashKV) Add(c *Change) {
	h.buf = appendRevision(h.buf[:0], c.Revision, c.Sub, c.Deleted)
	if !c.Summed {
		h.buf = appendKeyValue(h.buf, c)
		h.sum = crc32.Update(h.sum, castagnoli, h.buf)
		return
	}
	h.buf = appendBefore(h.buf, c)
	if c.Size > 0 {
		h.buf = protowire.AppendTag(h.buf, kvValue, protowire.BytesType)
		h.buf = protowire.AppendVarint(h.buf, uint64(c.Size))
		h.sum = joinSums(crc32.Update(h.sum, castagnoli, h.buf), c.Sum, c.Size)
		h.buf = h.buf[:0]
	}
	h.buf = appendInt(h.buf, kvLease, c.Lease)
	h.sum = crc32.Update(h.sum, castagnoli, h.buf)
}

// Sum returns the hash.
func (h *HashKV) Sum() uint32 { return h.sum }
