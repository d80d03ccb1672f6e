// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"sync/atomic"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// LeaseID names a lease. Zero is no lease.
type LeaseID int64

// KeyValue is a key as a reader sees it at some revision.
type KeyValue struct {
	Key            string
	Value          []byte
	CreateRevision int64
	ModRevision    int64
	Version        int64
	Lease          LeaseID
}

// version is one state of a key, or its deletion. All but sum, value and prev never
// changes once it is in an index.
type version struct {
	mod, create, ver int64
	lease            LeaseID
	blob             gitobj.ID
	sub              uint32 // which of its revision's changes it is, from 0; here, where it takes no room
	size             int64  // of the value; -1 if the blob came from elsewhere
	deleted          bool
	aside            bool          // no tree has it: see Store.Aside
	sum              atomic.Uint32 // CRC-32C of the value; 0: not known

	value atomic.Pointer[cached]  // nil: to be read from the log
	prev  atomic.Pointer[version] // nil: there is none, or it was compacted
}

// at returns the newest state at or before a revision, nil if there is none.
func (v *version) at(rev int64) *version {
	for v != nil && v.mod > rev {
		v = v.prev.Load()
	}
	return v
}

// live says whether v is a state in which the key exists.
func (v *version) live() bool { return v != nil && !v.deleted }

// meta returns the key's state without its value.
func (v *version) meta(key string) KeyValue {
	return KeyValue{Key: key, CreateRevision: v.create, ModRevision: v.mod, Version: v.ver, Lease: v.lease}
}

// event is one change of one key. before is the state it replaced, nil if the key did not exist.
type event struct {
	key           string
	after, before *version
}

// found is a key and its state, whose value may not be in memory.
type found struct {
	key string
	ver *version
}
