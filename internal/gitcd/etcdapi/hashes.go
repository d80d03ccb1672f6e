// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import "sync"

// rememberedHashes is how many hashes are remembered. Etcd remembers ten, all of compacted revisions; here they are
// those that were asked for.
const rememberedHashes = 100

// kvHash is what HashKV answers.
type kvHash struct {
	revision, compacted int64
	sum                 uint32
}

// hashes remembers hashes over compactions: etcd's hash of the compacted
// revision is the one from before the compaction.
type hashes struct {
	mu   sync.Mutex
	last []kvHash // the newest is last
}

func (h *hashes) add(k kvHash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = append(h.last, k)
	if len(h.last) > rememberedHashes {
		h.last = h.last[1:]
	}
}

func (h *hashes) of(revision int64) (kvHash, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.last {
		if k.revision == revision && k.compacted < revision {
			return k, true
		}
	}
	return kvHash{}, false
}
