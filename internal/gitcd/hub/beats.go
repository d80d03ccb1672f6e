// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// The bounds of a message of beats.
const (
	mostBeats   = 4096
	longestBeat = 2 << 20 // bytes of a message
	beatsALine  = 64      // of a stream
)

// Beats is the message of POST /v1/beats.
type Beats struct {
	Beats []beat.Beat `json:"beats"`
}

// Refused is the answer: the keys of which the hub took no beat. What their
// leases are goes by Git.
type Refused struct {
	Refused []string `json:"refused,omitempty"`
}

// pulses has the last beat of each lease, for watchers.
type pulses struct {
	// mu guards what follows.
	mu      sync.Mutex
	next    int64
	last    map[string]pulse           // key -> its last beat
	waiting []knock                    // what Run has not judged
	subs    map[chan struct{}]struct{} // whom to wake

	knocked chan struct{} // holds one token when something waits
	known   map[known]bool
}

// pulse is a beat, from whom, and when in the order of all.
type pulse struct {
	beat beat.Beat
	from string
	at   int64
}

// knock is a message that waits for Run: it alone asks gates.
type knock struct {
	from  string
	beats []beat.Beat
	done  chan []string // what is refused
}

// known is a lease of main's as a branch may beat for it or not.
type known struct {
	from, key, uid, holder string
	main                   gitobj.ID // its blob
}

func newPulses() *pulses {
	return &pulses{
		last: map[string]pulse{}, subs: map[chan struct{}]struct{}{}, knocked: make(chan struct{}, 1), known: map[known]bool{},
	}
}

// serveBeats answers POST /v1/beats.
func (h *Hub) serveBeats(w http.ResponseWriter, r *http.Request) {
	from := peerOf(r.Context())
	if !IsBranch(from) {
		http.Error(w, "only heavens and nodes renew leases", http.StatusForbidden)
		return
	}
	var in Beats
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestBeat)).Decode(&in); err != nil || len(in.Beats) > mostBeats {
		http.Error(w, fmt.Sprintf("want at most %d beats as JSON", mostBeats), http.StatusBadRequest)
		return
	}
	k := knock{from: from, beats: in.Beats, done: make(chan []string, 1)}
	h.pulses.mu.Lock()
	h.pulses.waiting = append(h.pulses.waiting, k)
	h.pulses.mu.Unlock()
	select {
	case h.pulses.knocked <- struct{}{}:
	default:
	}
	select {
	case refused := <-k.done:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(Refused{refused}); err != nil {
			h.o.Log.Debug("who asked has left; it asks again", "peer", from, "err", err)
		}
	case <-r.Context().Done():
	case <-h.stopping:
		http.Error(w, "the hub stops", http.StatusServiceUnavailable)
	}
}

// hear judges the beats that came, and tells the watchers of those that are taken.
func (h *Hub) hear(ctx context.Context) {
	p := h.pulses
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	main, _ := h.repo.Ref(Main)
	c, err := commitOf(h.repo, main)
	for _, k := range waiting {
		var refused []string
		var taken []beat.Beat
		for _, b := range k.beats {
			may := false
			if err == nil {
				may = h.mayBeat(ctx, c.Tree, k.from, b)
			}
			if may {
				taken = append(taken, b)
			} else {
				refused = append(refused, b.Key)
			}
		}
		p.take(k.from, taken)
		k.done <- refused
	}
}

// mayBeat says whether a lease is one of main's, in the same hands (law B1), and
// whether the branch may renew it (law H9).
func (h *Hub) mayBeat(ctx context.Context, main gitobj.ID, from string, b beat.Beat) bool {
	blob, ok, err := treeedit.Lookup(ctx, h.repo, main, b.Key)
	if err != nil || !ok {
		return false
	}
	key := known{from: from, key: b.Key, uid: b.UID, holder: b.Holder, main: blob}
	if may, ok := h.pulses.known[key]; ok {
		return may
	}
	if len(h.pulses.known) > mostBeats {
		clear(h.pulses.known) // of leases as they were
	}
	may, err := h.judgeBeat(ctx, main, from, blob, b)
	if err != nil {
		h.o.Log.Warn("a renewed lease is not passed on", "branch", from, "key", b.Key, "err", err)
		return false
	}
	h.pulses.known[key] = may
	return may
}

var errNoBlob = errors.New("not a blob")

func (h *Hub) judgeBeat(ctx context.Context, main gitobj.ID, from string, blob gitobj.ID, b beat.Beat) (bool, error) {
	value, err := valueOf(h.repo, blob)
	if err != nil {
		return false, fmt.Errorf("read lease: %w", err)
	}
	if was, ok := beat.Of(b.Key, value); !ok || !was.Same(b) {
		return false, nil
	}
	renewed, ok := b.Apply(value)
	if !ok || h.keeper.judge.Open(from) {
		return true, nil // main may know of a later time
	}
	change := merge.Change{Key: b.Key, Ours: blob, Blob: gitobj.Hash(gitobj.KindBlob, layout.Blob(renewed)), Value: renewed}
	verdict, err := h.judge(ctx, from, main, []merge.Change{change})
	return err == nil && len(verdict.Refusals) == 0, err
}

func valueOf(r transport.Objects, blob gitobj.ID) ([]byte, error) {
	kind, data, err := r.Get(blob)
	if err != nil {
		return nil, err
	}
	if kind != gitobj.KindBlob {
		return nil, errNoBlob
	}
	return layout.Value(data)
}

// take keeps beats that are news, and wakes the watchers.
func (p *pulses) take(from string, beats []beat.Beat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := false
	for _, b := range beats {
		if was, ok := p.last[b.Key]; ok && was.beat.Same(b) && b.Time <= was.beat.Time {
			continue
		}
		p.next++
		p.last[b.Key], news = pulse{beat: b, from: from, at: p.next}, true
	}
	if !news {
		return
	}
	for wake := range p.subs {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// watch has a channel woken when there are news, until leave.
func (p *pulses) watch() (wake chan struct{}, leave func()) {
	wake = make(chan struct{}, 1)
	wake <- struct{}{} // what is known already
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subs[wake] = struct{}{}
	return wake, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.subs, wake)
	}
}

// since returns what others than a peer have said after a moment, and the moment that it is now.
func (p *pulses) since(at int64, peer string) ([]beat.Beat, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []beat.Beat
	for _, said := range p.last {
		if said.at > at && said.from != peer {
			out = append(out, said.beat)
		}
	}
	return out, p.next
}
