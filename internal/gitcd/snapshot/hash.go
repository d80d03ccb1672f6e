// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"hash"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// HashKV computes etcd's hash of changes, which are given to it in the order of
// their revisions.
type HashKV struct {
	sum hash.Hash32
	buf []byte
}

// NewHashKV begins a hash.
func NewHashKV() *HashKV {
	h := &HashKV{sum: crc32.New(castagnoli)}
	h.sum.Write(bucketKey)
	return h
}

// Add adds a change.
func (h *HashKV) Add(c *Change) {
	h.buf = appendRevision(h.buf[:0], c.Revision, c.Sub, c.Deleted)
	h.buf = appendKeyValue(h.buf, c)
	h.sum.Write(h.buf)
}

// Sum returns the hash.
func (h *HashKV) Sum() uint32 { return h.sum.Sum32() }
