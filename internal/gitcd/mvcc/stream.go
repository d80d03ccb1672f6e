// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
)

const (
	// A response has at most about so many revisions and bytes of values. A revision is never torn.
	responseRevisions = 1000
	responseBytes     = 1 << 20
)

// EventType says what happened to a key.
type EventType uint8

// The types of events.
const (
	EventPut EventType = iota
	EventDelete
)

// Event is a change as a watcher sees it.
type Event struct {
	Type EventType
	// KV is the state after a put; after a deletion, only the key and the revision.
	KV KeyValue
	// Prev is the state before, if asked for, there was one, and it is not compacted.
	Prev *KeyValue
}

// WatchResponse is what a stream has to say next. A response without events
// that is neither Created nor Canceled is progress: all events up to Revision,
// of the watch or, with NoWatch, of all watches of the stream, were sent.
type WatchResponse struct {
	ID       WatchID
	Revision int64
	Created  bool
	Canceled bool
	// Err says why a watch was not created.
	Err error
	// CompactRevision is set when the watch was canceled since it fell behind a compaction.
	CompactRevision int64
	Events          []Event
	// Fragment is the request's.
	Fragment bool
}

// WatchStream is a set of watches with one order of responses. Next has one
// caller at a time; the other methods can be called from anywhere.
type WatchStream struct {
	hub  *watchHub
	vals *values
	wake chan struct{}
	room chan struct{} // holds one token when answers were taken

	// The hub's lock guards what follows.
	watchers map[WatchID]*watcher
	nextID   WatchID
	control  []WatchResponse
	ready    []*watcher
	progress bool       // asked for, not answered
	due      []*watcher // whose periodic progress is due
}

// Watch opens a stream of watches.
func (s *Store) Watch() *WatchStream {
	w := &WatchStream{hub: s.hub, vals: s.vals, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), watchers: map[WatchID]*watcher{}}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.mu.streams[w] = struct{}{}
	return w
}

// Close ends the stream.
func (s *WatchStream) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, w := range s.watchers {
		s.dropLocked(w)
	}
	delete(s.hub.mu.streams, s)
}

func (s *WatchStream) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// maxAnswers is how many answers may wait for a client that goes on asking.
const maxAnswers = 256

// Room waits until not too many answers wait to be taken. Who hands a client's
// requests to the stream calls it before each one, so that a client that asks
// and does not listen costs no more than that.
func (s *WatchStream) Room(ctx context.Context) error {
	for {
		s.hub.mu.Lock()
		n := len(s.control)
		s.hub.mu.Unlock()
		if n < maxAnswers {
			return nil
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Create starts a watch. The answer, also a refusal, comes from Next.
func (s *WatchStream) Create(r WatchRequest) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	defer s.nudge()
	refuse := func(err error) {
		s.control = append(s.control, WatchResponse{ID: NoWatch, Revision: s.hub.mu.rev, Created: true, Canceled: true, Err: err})
	}
	sp := span{start: r.Key, end: r.End}
	switch {
	case r.Start < 0:
		refuse(ErrCompacted)
		return
	case sp.empty():
		refuse(ErrEmptyWatcherRange)
		return
	case r.ID != 0 && s.watchers[r.ID] != nil:
		refuse(ErrWatcherExists)
		return
	}
	if r.ID == 0 {
		for s.watchers[s.nextID] != nil {
			s.nextID++
		}
		r.ID = s.nextID
		s.nextID++
	}
	w := &watcher{WatchRequest: r, span: sp, stream: s, quiet: true}
	s.watchers[r.ID] = w
	s.hub.mu.watchers.add(w)
	s.control = append(s.control, WatchResponse{ID: r.ID, Revision: s.hub.mu.rev, Created: true})
	switch {
	case r.Start == 0 || r.Start > s.hub.mu.rev:
	case r.Start < s.hub.mu.compacted:
		s.cancelCompactedLocked(w)
	default:
		w.readyLocked(r.Start)
	}
}

// Cancel ends a watch. The answer comes from Next.
func (s *WatchStream) Cancel(id WatchID) error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	w := s.watchers[id]
	if w == nil {
		return ErrWatcherNotFound
	}
	s.dropLocked(w)
	s.control = append(s.control, WatchResponse{ID: id, Revision: s.hub.mu.rev, Canceled: true})
	s.nudge()
	return nil
}

// RequestProgress asks for one response with NoWatch that says up to which
// revision all watches have seen everything.
func (s *WatchStream) RequestProgress() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.progress = true
	s.nudge()
}

// Tick makes each watch that asked for Progress, and had nothing sent since the
// last tick, say how far it is.
func (s *WatchStream) Tick() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, w := range s.watchers {
		if !w.Progress {
			continue
		}
		if w.quiet {
			s.due = append(s.due, w)
		}
		w.quiet = true
	}
	s.nudge()
}

func (s *WatchStream) dropLocked(w *watcher) {
	w.gone = true
	delete(s.watchers, w.ID)
	s.hub.mu.watchers.remove(w)
}

func (s *WatchStream) cancelCompactedLocked(w *watcher) {
	s.dropLocked(w)
	s.control = append(s.control, WatchResponse{ID: w.ID, Revision: s.hub.mu.rev, Canceled: true, CompactRevision: s.hub.mu.compacted})
	s.nudge()
}

// Next waits for the next response.
func (s *WatchStream) Next(ctx context.Context) (WatchResponse, error) {
	for {
		r, ok, err := s.poll()
		if ok || err != nil {
			return r, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return WatchResponse{}, ctx.Err()
		}
	}
}

// poll returns the next response if there is one: answers first, then events,
// and progress only when there is nothing else to be said before it.
func (s *WatchStream) poll() (WatchResponse, bool, error) {
	for {
		s.hub.mu.Lock()
		if err := s.hub.mu.err; err != nil {
			s.hub.mu.Unlock()
			return WatchResponse{}, false, err
		}
		if len(s.control) > 0 {
			r := s.control[0]
			s.control = s.control[1:]
			s.hub.mu.Unlock()
			select {
			case s.room <- struct{}{}:
			default:
			}
			return r, true, nil
		}
		w := s.nextReadyLocked()
		if w == nil {
			r, ok := s.progressLocked()
			s.hub.mu.Unlock()
			return r, ok, nil
		}
		from, upTo, held, compacted := w.from, s.hub.mu.rev, s.hub.mu.window, s.hub.mu.compacted
		w.from = 0
		s.hub.mu.Unlock()

		r, last, err := s.gather(w, held, compacted, from, upTo)
		if err != nil {
			return WatchResponse{}, false, err
		}
		s.proceed(w, last, upTo, len(r.Events) > 0)
		if len(r.Events) > 0 {
			s.hub.stats.Events.Add(int64(len(r.Events)))
			return r, true, nil
		}
	}
}

func (s *WatchStream) nextReadyLocked() *watcher {
	for len(s.ready) > 0 {
		w := s.ready[0]
		s.ready[0] = nil
		s.ready = s.ready[1:]
		w.queued = false
		if !w.gone {
			return w
		}
	}
	s.ready = nil
	return nil
}

// proceed notes how far a watch has been served.
func (s *WatchStream) proceed(w *watcher, last, upTo int64, sent bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if sent {
		w.quiet = false
	}
	if w.gone || last >= upTo {
		return
	}
	if last+1 < s.hub.mu.compacted {
		s.cancelCompactedLocked(w)
		return
	}
	w.readyLocked(last + 1)
}

func (s *WatchStream) progressLocked() (WatchResponse, bool) {
	rev := s.hub.mu.rev
	for len(s.due) > 0 {
		w := s.due[0]
		s.due = s.due[1:]
		if !w.gone && rev >= w.Start && w.quiet {
			return WatchResponse{ID: w.ID, Revision: rev}, true
		}
	}
	if !s.progress {
		return WatchResponse{}, false
	}
	s.progress = false
	if len(s.watchers) == 0 {
		return WatchResponse{}, false
	}
	for _, w := range s.watchers {
		if rev < w.Start {
			return WatchResponse{}, false
		}
	}
	return WatchResponse{ID: NoWatch, Revision: rev}, true
}

// gather collects a watch's events from a revision on. last is the revision
// up to which everything is in the response.
func (s *WatchStream) gather(w *watcher, held window, compacted, from, upTo int64) (r WatchResponse, last int64, err error) {
	r = WatchResponse{ID: w.ID, Revision: upTo, Fragment: w.Fragment}
	var revisions int
	var size, rev int64
	for n := held.from(from); n < held.next; n++ {
		ev := held.at(n)
		if ev.after.mod > upTo {
			break
		}
		if ev.after.mod != rev {
			if revisions >= responseRevisions || size >= responseBytes {
				r.Revision = rev
				return r, rev, nil
			}
			rev = ev.after.mod
		}
		if !w.span.contains(ev.key) || !w.wants(ev) {
			continue
		}
		out, err := s.render(w, ev, compacted)
		if err != nil {
			return WatchResponse{}, 0, err
		}
		if len(r.Events) == 0 || r.Events[len(r.Events)-1].KV.ModRevision != rev {
			revisions++
		}
		size += int64(len(out.KV.Value) + len(ev.key))
		r.Events = append(r.Events, out)
	}
	return r, upTo, nil
}

// render turns an event into what the watcher asked for. The state before an
// event at the compacted revision is compacted, as all states before it are.
func (s *WatchStream) render(w *watcher, ev *event, compacted int64) (out Event, err error) {
	if ev.after.deleted {
		out = Event{Type: EventDelete, KV: KeyValue{Key: ev.key, ModRevision: ev.after.mod}}
	} else if out.KV, err = s.vals.fill(found{key: ev.key, ver: ev.after}); err != nil {
		return Event{}, err
	}
	if w.PrevKV && ev.before.live() && ev.after.mod > compacted {
		prev, err := s.vals.fill(found{key: ev.key, ver: ev.before})
		if err != nil {
			return Event{}, err
		}
		out.Prev = &prev
	}
	return out, nil
}
