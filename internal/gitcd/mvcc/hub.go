// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"sync"
)

// watchHub holds the events since the last compaction and tells streams that
// there is something for them. Streams fetch the events themselves, at their
// own pace: what a slow client costs is its place in the window.
type watchHub struct {
	stats *Stats

	mu struct {
		sync.Mutex
		window
		rev       int64 // the last revision handed out
		compacted int64
		watchers  watchers
		streams   map[*WatchStream]struct{}
		err       error // set when the store closed or failed
	}
}

// publish hands out the events of a batch and then, before anyone can start a
// watch in between, makes the revision readable.
func (h *watchHub) publish(events []event, rev, compacted int64, readable func()) (cut window) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range events {
		h.mu.add(ev)
		h.mu.watchers.each(ev.key, func(w *watcher) { w.wantLocked(ev) })
	}
	h.mu.rev = rev
	readable()
	if compacted > h.mu.compacted {
		cut = h.mu.window
		h.compactLocked(compacted)
	}
	return cut
}

func (h *watchHub) compactLocked(rev int64) {
	h.mu.compacted = rev
	h.mu.cut(rev)
	for s := range h.mu.streams {
		for _, w := range s.watchers {
			if w.from != 0 && w.from < rev {
				s.cancelCompactedLocked(w)
			}
		}
	}
}

// fail ends all streams.
func (h *watchHub) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.err == nil {
		h.mu.err = err
	}
	for s := range h.mu.streams {
		s.nudge()
	}
}

// held returns the events that the window holds.
func (h *watchHub) held() window {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.window
}

// WatchID names a watch on its stream.
type WatchID int64

// NoWatch is the id in a response that is not about one watch.
const NoWatch WatchID = -1

// WatchRequest asks for the changes in [Key, End).
type WatchRequest struct {
	// ID is the id to use; 0 lets the stream pick one.
	ID       WatchID
	Key, End string
	// Start is the first revision to see; 0 is the next one.
	Start int64
	// PrevKV asks for the state before each change.
	PrevKV bool
	// NoPut and NoDelete leave out changes of that kind.
	NoPut, NoDelete bool
	// Progress asks for the revision from time to time when there is nothing to see. See WatchStream.Tick.
	Progress bool
	// Fragment is handed back with the responses: it is the caller's business.
	Fragment bool
}

// watcher is one watch. The hub's lock guards from, queued, quiet and gone.
type watcher struct {
	WatchRequest
	span   span
	stream *WatchStream

	from   int64 // the revision to go on from; 0 when there is nothing to fetch
	queued bool  // in the stream's ready list
	quiet  bool  // nothing was sent since the last tick
	gone   bool
}

func (w *watcher) wants(ev *event) bool {
	if ev.after.deleted {
		return !w.NoDelete
	}
	return !w.NoPut
}

// wantLocked notes that there is an event for w.
func (w *watcher) wantLocked(ev event) {
	if ev.after.mod < w.Start || !w.wants(&ev) {
		return
	}
	w.readyLocked(ev.after.mod)
}

func (w *watcher) readyLocked(from int64) {
	if w.from == 0 || from < w.from {
		w.from = from
	}
	if !w.queued {
		w.queued = true
		w.stream.ready = append(w.stream.ready, w)
		w.stream.nudge()
	}
}
