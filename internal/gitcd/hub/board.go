// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// board shows the heads of refs to watchers. A watcher that is slow reads the
// last value, not each one.
type board struct {
	// mu guards what follows.
	mu   sync.Mutex
	refs map[string]gitobj.ID             // ref -> head
	subs map[string]map[*watcher]struct{} // ref -> who watches it
}

// watcher is one stream's place at the board.
type watcher struct {
	refs []string
	wake chan struct{} // holds one token when something changed
}

func newBoard(refs map[string]gitobj.ID) *board {
	return &board{refs: refs, subs: map[string]map[*watcher]struct{}{}}
}

// post shows new heads and wakes whom they concern.
func (b *board) post(heads map[string]gitobj.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ref, id := range heads {
		b.refs[ref] = id
		for w := range b.subs[ref] {
			select {
			case w.wake <- struct{}{}:
			default:
			}
		}
	}
}

func (b *board) watch(refs []string) *watcher {
	w := &watcher{refs: refs, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ref := range refs {
		if b.subs[ref] == nil {
			b.subs[ref] = map[*watcher]struct{}{}
		}
		b.subs[ref][w] = struct{}{}
	}
	return w
}

func (b *board) leave(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ref := range w.refs {
		delete(b.subs[ref], w)
		if len(b.subs[ref]) == 0 {
			delete(b.subs, ref)
		}
	}
}

// read returns the heads of a watcher's refs; Zero for a ref that is not there.
func (b *board) read(w *watcher) []gitobj.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]gitobj.ID, len(w.refs))
	for i, ref := range w.refs {
		out[i] = b.refs[ref]
	}
	return out
}
