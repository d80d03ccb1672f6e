// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// mostListed is how many entries a Status lists.
const mostListed = 100

// QuarantineStatus is what a Status says of quarantine.
type QuarantineStatus struct {
	// Waiting and Rejected are how many entries there are.
	Waiting  int `json:"waiting"`
	Rejected int `json:"rejected"`
	// Total is how many there ever were.
	Total int64 `json:"total"`
	// Since is when the oldest of those that wait was tried first.
	Since *time.Time `json:"since,omitempty"`
	// Entries are at most 100, those that wait before the others and the oldest first. Truncated: there are more.
	Entries   []*Quarantined `json:"entries"`
	Truncated bool           `json:"truncated,omitempty"`
	// Refused is what gates refused since the hub started, each attempt counted.
	Refused []RefusedCount `json:"refused"`
}

// RefusedCount is how often a gate refused a branch something.
type RefusedCount struct {
	Branch string    `json:"branch"`
	Gate   string    `json:"gate"`
	Kind   gate.Kind `json:"kind"`
	Count  int64     `json:"count"`
}

// waiting counts a branch's entries that wait; Hub.mu is held.
func (k *keeper) waiting(branch string) int {
	n := 0
	for _, q := range k.entries[branch] {
		if q.State == Waiting {
			n++
		}
	}
	return n
}

// listLocked returns the entries of a branch, or of all: those that wait first, and the oldest first.
func (h *Hub) listLocked(branch string) []*Quarantined {
	out := []*Quarantined{}
	for name, entries := range h.keeper.entries {
		if branch != "" && name != branch {
			continue
		}
		for _, q := range entries {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(a, b *Quarantined) int {
		if a.State != b.State {
			return strings.Compare(string(b.State), string(a.State)) // Waiting, Rejected
		}
		return oldestFirst(a, b)
	})
	return out
}

func (h *Hub) quarantineLocked() QuarantineStatus {
	s := QuarantineStatus{Entries: h.listLocked(""), Refused: []RefusedCount{}}
	for _, q := range s.Entries {
		if q.State == Rejected {
			s.Rejected++
			continue
		}
		if s.Waiting++; s.Since == nil {
			s.Since = &q.Since
		}
	}
	for _, n := range h.keeper.totals {
		s.Total += n
	}
	if len(s.Entries) > mostListed {
		s.Entries, s.Truncated = s.Entries[:mostListed], true
	}
	for by, n := range h.keeper.refused {
		s.Refused = append(s.Refused, RefusedCount{Branch: by.branch, Gate: by.gate, Kind: by.kind, Count: n})
	}
	slices.SortFunc(s.Refused, func(a, b RefusedCount) int {
		return strings.Compare(a.Branch+"\x00"+a.Gate+"\x00"+string(a.Kind), b.Branch+"\x00"+b.Gate+"\x00"+string(b.Kind))
	})
	return s
}

// ShownQuarantined is an entry with its values.
type ShownQuarantined struct {
	*Quarantined
	// OldValue and NewValue are main's value then, and what was refused. Absent: the key was not there, or the value may be a secret.
	OldValue json.RawMessage `json:"oldValue,omitempty"`
	NewValue json.RawMessage `json:"newValue,omitempty"`
}

// listQuarantine answers GET /v1/quarantine with all entries, with ?branch= those of one, and with &key= too one with its values.
func (h *Hub) listQuarantine(w http.ResponseWriter, r *http.Request) {
	branch, key := r.URL.Query().Get("branch"), r.URL.Query().Get("key")
	h.mu.Lock()
	entries, one := h.listLocked(branch), h.keeper.entries[branch][key]
	h.mu.Unlock()
	var answer any = entries
	if key != "" {
		if one == nil {
			http.Error(w, errNotQuarantined(branch, key).Error(), http.StatusNotFound)
			return
		}
		answer = ShownQuarantined{Quarantined: one, OldValue: h.value(one, one.Old), NewValue: h.value(one, one.New)}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		h.o.Log.Debug("quarantine was not sent", "err", err)
	}
}

// value returns a value that may be shown.
func (h *Hub) value(q *Quarantined, blob *gitobj.ID) json.RawMessage {
	if strings.HasPrefix(q.Key, "/registry/secrets/") {
		return nil
	}
	return wholeBlob(h.repo, blob)
}

// ErrNotQuarantined is wrapped by refusals of decisions on what is not there.
var ErrNotQuarantined = errors.New("not in quarantine")

func errNotQuarantined(branch, key string) error {
	return fmt.Errorf("%s of %s: %w; it may have been decided on, or main has got it in another way", key, branch, ErrNotQuarantined)
}

// Ruling is what a person makes of changes in quarantine.
type Ruling struct {
	// Action is Approve or Reject.
	Action Action `json:"action"`
	Branch string `json:"branch"`
	// Keys are those decided on; All stands for all that wait.
	Keys []string `json:"keys,omitempty"`
	All  bool     `json:"all,omitempty"`
	// Reason is for those who read it later.
	Reason string `json:"reason,omitempty"`
}

// Action is what is decided.
type Action string

// The actions.
const (
	Approve Action = "approve"
	Reject  Action = "reject"
)

// Ruled is the answer to a Ruling.
type Ruled struct {
	Entries []*Quarantined `json:"entries"`
	// Main is main's head after it.
	Main string `json:"main"`
}

// ruling is a Ruling on its way to Run.
type ruling struct {
	left <-chan struct{} // closed when nobody waits for the answer any more
	by   string
	what Ruling
	done chan<- ruled
}

type ruled struct {
	Ruled
	err error
}

// check looks at a ruling before it is handed on.
func (r *Ruling) check() error {
	switch {
	case r.Action != Approve && r.Action != Reject:
		return fmt.Errorf("action is %q; write approve or reject", r.Action)
	case r.Branch == "":
		return errors.New("branch is missing")
	case r.All == (len(r.Keys) > 0):
		return errors.New("write keys, or all for everything that waits")
	case strings.ContainsAny(r.Reason, "\r\n"):
		return errors.New("reason has more than one line")
	}
	return nil
}

// ruleQuarantine answers POST /v1/quarantine, with a Ruling.
func (h *Hub) ruleQuarantine(w http.ResponseWriter, r *http.Request) {
	peer := peerOf(r.Context())
	if peer != Admin && !slices.Contains(h.o.Approvers, peer) {
		who := append([]string{Admin}, h.o.Approvers...)
		http.Error(w, fmt.Sprintf("%s may not decide on quarantine; %s may", peer, strings.Join(who, ", ")), http.StatusForbidden)
		return
	}
	var what Ruling
	err := json.NewDecoder(io.LimitReader(r.Body, longestDecision)).Decode(&what)
	if err == nil {
		err = what.check()
	}
	if err != nil {
		http.Error(w, "read decision: "+err.Error(), http.StatusBadRequest)
		return
	}
	done := make(chan ruled, 1)
	h.mu.Lock()
	h.rulings = append(h.rulings, ruling{left: r.Context().Done(), by: peer, what: what, done: done})
	h.mu.Unlock()
	h.signal()
	select {
	case d := <-done:
		answerRuled(w, d)
	case <-r.Context().Done():
	case <-h.stopping:
		http.Error(w, "the hub ends; ask again", http.StatusServiceUnavailable)
	}
}

func answerRuled(w http.ResponseWriter, d ruled) {
	switch {
	case errors.Is(d.err, ErrNotQuarantined):
		http.Error(w, d.err.Error(), http.StatusNotFound)
	case d.err != nil:
		http.Error(w, d.err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(d.Ruled); err != nil {
			return // a client that has left asks again
		}
	}
}
