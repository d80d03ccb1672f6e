// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

const (
	// sharedItems and sharedBytes bound a pack that is worth sharing: one of a moment's changes.
	sharedItems = 1000
	sharedBytes = 1 << 20
	// sharedPacks is how many are kept.
	sharedPacks = 4
)

// packCache lets clients that ask for the same share one pack: when main
// moves, all heavens want the step from the last main to this one. What lies
// between commits never changes, so a pack is never stale.
type packCache struct {
	// mu guards what follows.
	mu    sync.Mutex
	packs map[string]*sharedPack
	order []string // keys of packs, the oldest first
}

// sharedPack is a pack that somebody is making, or has made.
type sharedPack struct {
	ready chan struct{} // closed when what follows is set
	data  []byte        // nil: it could not be made, or is too large
	count int
}

// packKey names what lies between commits.
func packKey(wants, haves []gitobj.ID, thin bool) string {
	var key strings.Builder
	for _, ids := range [][]gitobj.ID{wants, haves} {
		sorted := slices.SortedFunc(slices.Values(ids), gitobj.ID.Compare)
		for _, id := range slices.Compact(sorted) {
			key.Write(id[:])
		}
		key.WriteByte('|')
	}
	if thin {
		key.WriteByte('t')
	}
	return key.String()
}

// share returns a pack and the number of its objects. The first who asks makes
// it; the others wait for that. No data means that each has to make its own.
func (c *packCache) share(ctx context.Context, key string, build func() ([]byte, int)) ([]byte, int) {
	c.mu.Lock()
	p, ok := c.packs[key]
	if !ok {
		p = c.addLocked(key)
	}
	c.mu.Unlock()
	if ok {
		select {
		case <-p.ready:
			return p.data, p.count
		case <-ctx.Done():
			return nil, 0
		}
	}
	defer close(p.ready)
	p.data, p.count = build()
	if p.data == nil {
		c.drop(key)
	}
	return p.data, p.count
}

func (c *packCache) addLocked(key string) *sharedPack {
	p := &sharedPack{ready: make(chan struct{})}
	if c.packs == nil {
		c.packs = map[string]*sharedPack{}
	}
	c.packs[key] = p
	c.order = append(c.order, key)
	if len(c.order) > sharedPacks {
		delete(c.packs, c.order[0])
		c.order = c.order[1:]
	}
	return p
}

// drop forgets a pack that did not come about: who asks later may have more luck.
func (c *packCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.packs, key)
	c.order = slices.DeleteFunc(c.order, func(k string) bool { return k == key })
}
