// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// news is what the watcher has heard and the loop has not looked at (law X5).
type news struct {
	wake chan struct{} // holds one token when there is something

	// mu guards what follows.
	mu       sync.Mutex
	heads    map[string]gitobj.ID // ref -> the last head heard of
	steps    []Notice             // packs that lead to the last main, each from where the one before leads
	packed   int                  // bytes in steps
	streams  bool                 // whether the upstream has a stream, hence is a hub
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

// mostPacked bounds the packs that are kept until the loop looks at them.
const mostPacked = 4 << 20

// tell notes a head, and that the link is up.
func (n *news) tell(heard Notice) {
	n.mu.Lock()
	was, known := n.heads[heard.Ref]
	fresh := !n.up || !known || was != heard.ID
	n.heads[heard.Ref] = heard.ID
	if heard.Ref == Main && fresh {
		n.stepLocked(heard)
	}
	if !n.up {
		n.up, n.err = true, nil
		n.connects++
	}
	n.mu.Unlock()
	if fresh {
		n.signal()
	}
}

// stepLocked keeps the packs that lead to the last main.
func (n *news) stepLocked(heard Notice) {
	if k := len(n.steps); heard.Pack == nil || n.packed > mostPacked || k > 0 && n.steps[k-1].ID != heard.From {
		n.steps, n.packed = nil, 0
	}
	if heard.Pack != nil {
		n.steps = append(n.steps, heard)
		n.packed += len(heard.Pack)
	}
}

// forget drops the packs that led to a main which is here.
func (n *news) forget(main gitobj.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, step := range n.steps {
		n.packed -= len(step.Pack)
		if step.ID == main {
			n.steps = n.steps[i+1:]
			return
		}
	}
	n.steps, n.packed = nil, 0
}

// down notes that the link is lost.
func (n *news) down(err error) {
	n.mu.Lock()
	n.up, n.err = false, err
	n.mu.Unlock()
	n.signal()
}

func (n *news) read() (heads map[string]gitobj.ID, steps []Notice, connects int, up bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.heads), slices.Clip(n.steps), n.connects, n.up, n.err
}

// hub says whether the upstream has a stream.
func (n *news) hub() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.streams
}

func (n *news) streaming() {
	n.mu.Lock()
	n.streams = true
	n.mu.Unlock()
}

// hubPause is the longest pause before a hub's stream is asked for again: a hub
// is the cluster's own, and what was written meanwhile waits for it.
const hubPause = 5 * time.Second

// follow keeps the news coming until the context ends: by the upstream's
// stream, or by polling where there is none.
func (x *Exchange) follow(ctx context.Context) {
	refs := []string{Main, x.ref}
	pause := x.o.pauses()
	for ctx.Err() == nil {
		err := x.up.Watch(ctx, refs, func(heard Notice) {
			pause.reset()
			x.news.streaming()
			if heard.Beats != nil {
				x.pulse.hear(heard.Beats)
				return
			}
			x.news.tell(heard)
		})
		if errors.Is(err, ErrNoStream) {
			err = x.poll(ctx, refs, pause.reset)
		}
		if x.news.hub() {
			pause.max = min(pause.max, hubPause)
		}
		if ctx.Err() == nil {
			x.news.down(err)
			x.sleep(ctx, max(pause.next(), patience(err)))
		}
	}
}
