// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// Notice is one line of a watch stream: a ref and its head, Zero if there is
// none. A stream begins with one notice for each ref. A line that repeats the
// last value is a heartbeat.
type Notice struct {
	Ref string    `json:"ref"`
	ID  gitobj.ID `json:"id"`
	// From is the last value that the stream told, if the pack that leads from
	// there to ID follows the line. Pack is how many bytes it has.
	From *gitobj.ID `json:"from,omitempty"`
	Pack int        `json:"pack,omitempty"`
}

const (
	maxWatched   = 16
	longestStep  = 256 << 10
	writeTimeout = 30 * time.Second
)

// watch answers GET /v1/watch?ref=...&ref=...: newline-delimited JSON, until
// the client leaves or the hub stops.
func (h *Hub) watch(w http.ResponseWriter, r *http.Request) {
	refs := r.URL.Query()["ref"]
	if len(refs) == 0 {
		refs = []string{Main}
	}
	if len(refs) > maxWatched {
		http.Error(w, "a stream watches at most 16 refs", http.StatusBadRequest)
		return
	}
	for _, ref := range refs {
		if err := transport.CheckRefName(ref); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	watcher := h.board.watch(refs)
	defer h.board.leave(watcher)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no")
	out := &noticeWriter{w: w, control: http.NewResponseController(w), refs: refs, settings: h.o.Settings}
	if r.URL.Query().Get("packs") != "" {
		out.step = func(from, to gitobj.ID) []byte { return h.git.Step(r.Context(), from, to) }
	}
	var beats <-chan struct{}
	if r.URL.Query().Get("beats") != "" {
		wake, leave := h.pulses.watch()
		defer leave()
		beats = wake
	}
	var heard int64
	heartbeat := h.o.Clock.NewTicker(h.o.Heartbeat)
	defer heartbeat.Stop()
	all := true // the first time, and at each heartbeat, values that have not changed are sent as well
	for {
		if err := out.send(h.board.read(watcher), all); err != nil {
			return
		}
		all = false
		select {
		case <-watcher.wake:
		case <-beats:
			news, now := h.pulses.since(heard, peerOf(r.Context()))
			if err := out.pulse(news); err != nil {
				return
			}
			heard = now
		case <-heartbeat.C():
			all = true
		case <-r.Context().Done():
			return
		case <-h.stopping:
			return
		}
	}
}

// preamble is the first line of a stream: how branches meet main here. It comes
// before any head, so that what merges a head that it heard of goes by it.
type preamble struct {
	Merge merge.Settings `json:"merge"`
}

// noticeWriter sends what changed since it last sent.
type noticeWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	refs    []string
	sent    []gitobj.ID
	step    func(from, to gitobj.ID) []byte // nil: no packs are sent

	settings merge.Settings
}

// extend gives the next write its time.
func (n *noticeWriter) extend() error {
	// Sockets know real time only, whatever clock the hub runs by.
	deadline := clock.RealClock{}.Now().Add(writeTimeout)
	if err := n.control.SetWriteDeadline(deadline); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrNoDeadline) {
		return err
	}
	return nil
}

func (n *noticeWriter) send(ids []gitobj.ID, all bool) error {
	if err := n.extend(); err != nil {
		return err
	}
	enc := json.NewEncoder(n.w)
	if n.sent == nil {
		if err := enc.Encode(preamble{n.settings}); err != nil {
			return err
		}
	}
	for i, id := range ids {
		if !all && len(n.sent) == len(ids) && n.sent[i] == id {
			continue
		}
		notice, pack := Notice{Ref: n.refs[i], ID: id}, n.packFor(i, id)
		if pack != nil {
			notice.From, notice.Pack = &n.sent[i], len(pack)
		}
		if err := enc.Encode(notice); err != nil {
			return err
		}
		if _, err := n.w.Write(pack); err != nil {
			return err
		}
	}
	n.sent = ids
	return n.control.Flush()
}

// pulse sends what leases were renewed.
func (n *noticeWriter) pulse(news []beat.Beat) error {
	if err := n.extend(); err != nil {
		return err
	}
	enc := json.NewEncoder(n.w)
	for line := range slices.Chunk(news, beatsALine) {
		if err := enc.Encode(Beats{line}); err != nil {
			return err
		}
	}
	return nil // the heads that follow are flushed
}

// packFor returns what main grew by since the stream told of it last: who
// listens need not ask for it.
func (n *noticeWriter) packFor(i int, id gitobj.ID) []byte {
	if n.step == nil || n.refs[i] != Main || len(n.sent) <= i || n.sent[i].IsZero() || n.sent[i] == id {
		return nil
	}
	pack := n.step(n.sent[i], id)
	if len(pack) > longestStep {
		return nil
	}
	return pack
}
