// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// news is what the watcher has heard and the loop has not looked at (law X5).
type news struct {
	wake chan struct{} // holds one token when there is something

	// mu guards what follows.
	mu       sync.Mutex
	heads    map[string]gitobj.ID // ref -> the last head heard of
	connects int                  // how often a link came up
	up       bool
	err      error // why it is not
}

func newNews() *news {
	return &news{wake: make(chan struct{}, 1), heads: map[string]gitobj.ID{}}
}

func (n *news) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// tell notes a head, and that the link is up.
func (n *news) tell(ref string, head gitobj.ID) {
	n.mu.Lock()
	was, known := n.heads[ref]
	fresh := !n.up || !known || was != head
	n.heads[ref] = head
	if !n.up {
		n.up, n.err = true, nil
		n.connects++
	}
	n.mu.Unlock()
	if fresh {
		n.signal()
	}
}

// down notes that the link is lost.
func (n *news) down(err error) {
	n.mu.Lock()
	n.up, n.err = false, err
	n.mu.Unlock()
	n.signal()
}

func (n *news) read() (heads map[string]gitobj.ID, connects int, up bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.heads), n.connects, n.up, n.err
}

// follow keeps the news coming until the context ends: by the upstream's
// stream, or by polling where there is none.
func (x *Exchange) follow(ctx context.Context) {
	refs := []string{Main, x.ref}
	pause := x.o.pauses()
	for ctx.Err() == nil {
		err := x.up.Watch(ctx, refs, func(ref string, head gitobj.ID) {
			pause.reset()
			x.news.tell(ref, head)
		})
		if errors.Is(err, ErrNoStream) {
			err = x.poll(ctx, refs, pause.reset)
		}
		if ctx.Err() == nil {
			x.news.down(err)
			x.sleep(ctx, max(pause.next(), patience(err)))
		}
	}
}
