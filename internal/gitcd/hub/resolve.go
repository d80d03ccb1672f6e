// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// longestDecision bounds the body of a resolution.
const longestDecision = 64 << 10

// decision is what a person made of a conflict, on its way to Run.
type decision struct {
	left <-chan struct{} // closed when nobody waits for it any more
	id   string
	how  conflict.Resolution
	done chan<- decided
}

// decided is the answer to a decision.
type decided struct {
	listed ListedConflict
	err    error
}

// ListedConflict is a conflict as the hub shows it.
type ListedConflict struct {
	ID     string          `json:"id"`
	Record conflict.Record `json:"record"`
	// Base, Ours and Theirs are the whole values, in answer to GET /v1/conflicts/{id}. Absent: the key was not there, or
	// the value is hidden.
	Base   json.RawMessage `json:"base,omitempty"`
	Ours   json.RawMessage `json:"ours,omitempty"`
	Theirs json.RawMessage `json:"theirs,omitempty"`
}

// records returns the tree of the branch of conflicts, zero if there is none.
func (h *Hub) records() (gitobj.ID, error) {
	_, _, tree, err := h.conflictsNow(h.repo)
	return tree, err
}

// listConflicts answers GET /v1/conflicts with a line of JSON for each open conflict, with ?all for the resolved ones, too.
func (h *Hub) listConflicts(w http.ResponseWriter, r *http.Request) {
	tree, err := h.records()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	all := r.URL.Query().Has("all")
	err = conflict.List(r.Context(), h.repo, tree, func(e conflict.Entry) error {
		if e.Resolved && !all {
			return nil
		}
		record, err := conflict.Read(h.repo, e)
		if err != nil {
			return err
		}
		return out.Encode(ListedConflict{ID: e.ID, Record: record})
	})
	if err != nil {
		h.o.Log.Debug("conflicts were not sent", "err", err)
		panic(http.ErrAbortHandler) //nolint:forbidigo // how a server of net/http cuts an answer short: the client must not take a part for the whole
	}
}

// showConflict answers GET /v1/conflicts/{id}.
func (h *Hub) showConflict(w http.ResponseWriter, r *http.Request) {
	tree, err := h.records()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	e, err := conflict.Find(r.Context(), h.repo, tree, r.PathValue("id"))
	if err != nil {
		answer(w, decided{err: err})
		return
	}
	record, err := conflict.Read(h.repo, e)
	listed := ListedConflict{ID: e.ID, Record: record}
	if err == nil {
		listed.Fill(h.repo)
	}
	answer(w, decided{listed: listed, err: err})
}

// Fill reads the whole values of the sides.
func (c *ListedConflict) Fill(r treeedit.Reader) {
	c.Base, c.Ours, c.Theirs = whole(r, c.Record.Base), whole(r, c.Record.Ours), whole(r, c.Record.Theirs)
}

// whole returns the whole value of a side if it is JSON that may be shown.
func whole(r treeedit.Reader, s conflict.Side) json.RawMessage {
	if s.Hidden {
		return nil
	}
	return wholeBlob(r, s.Blob)
}

func wholeBlob(r treeedit.Reader, blob *gitobj.ID) json.RawMessage {
	if blob == nil {
		return nil
	}
	_, data, err := r.Get(*blob)
	if err != nil {
		return nil
	}
	value, err := layout.Value(data)
	if err != nil || !json.Valid(value) {
		return nil
	}
	return value
}

// resolveConflict answers POST /v1/conflicts/{id}/resolve, with a conflict.Resolution. Hub-admin and the approvers decide.
func (h *Hub) resolveConflict(w http.ResponseWriter, r *http.Request) {
	if peer := peerOf(r.Context()); peer != Admin && !slices.Contains(h.o.Approvers, peer) {
		who := strings.Join(append([]string{Admin}, h.o.Approvers...), ", ")
		http.Error(w, fmt.Sprintf("%s may not resolve conflicts; these may: %s", peer, who), http.StatusForbidden)
		return
	}
	var how conflict.Resolution
	if err := json.NewDecoder(io.LimitReader(r.Body, longestDecision)).Decode(&how); err != nil {
		http.Error(w, "read resolution: "+err.Error(), http.StatusBadRequest)
		return
	}
	how.When = h.o.Clock.Now()
	if err := how.Check(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	done := make(chan decided, 1)
	h.mu.Lock()
	h.decided = append(h.decided, decision{left: r.Context().Done(), id: r.PathValue("id"), how: how, done: done})
	h.mu.Unlock()
	h.signal()
	select {
	case d := <-done:
		answer(w, d)
	case <-r.Context().Done():
	case <-h.stopping:
		http.Error(w, "the hub ends; ask again", http.StatusServiceUnavailable)
	}
}

func answer(w http.ResponseWriter, d decided) {
	switch {
	case errors.Is(d.err, conflict.ErrNotFound):
		http.Error(w, d.err.Error(), http.StatusNotFound)
	case errors.Is(d.err, conflict.ErrAmbiguous), errors.Is(d.err, conflict.ErrResolved):
		http.Error(w, d.err.Error(), http.StatusConflict)
	case d.err != nil:
		http.Error(w, d.err.Error(), http.StatusInternalServerError)
	default:
		body, err := json.Marshal(d.listed)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // a client that has left asks again
	}
}

// decide writes down what people decided: Run alone moves the branch of conflicts.
func (h *Hub) decide(ctx context.Context) {
	h.mu.Lock()
	waiting := h.decided
	h.decided = nil
	h.mu.Unlock()
	for _, d := range waiting {
		select {
		case <-d.left:
			continue // it was never promised
		default:
		}
		listed, err := h.writeDown(ctx, d)
		if err == nil {
			h.mu.Lock()
			h.tally.open--
			h.mu.Unlock()
		}
		d.done <- decided{listed: listed, err: err}
	}
}

func (h *Hub) writeDown(ctx context.Context, d decision) (ListedConflict, error) {
	move, parents, tree, err := h.conflictsNow(h.repo)
	if err != nil {
		return ListedConflict{}, err
	}
	book := conflict.Edit(h.repo, tree)
	e, record, err := book.Resolve(ctx, d.id, d.how)
	if err != nil {
		return ListedConflict{}, err
	}
	var objects []transport.Object
	tree, err = book.Write(ctx, func(o treeedit.Object) error {
		objects = append(objects, transport.Object(o))
		return nil
	})
	if err != nil {
		return ListedConflict{}, err
	}
	data := e.Commit(record, tree, parents).Encode()
	move.New = gitobj.Hash(gitobj.KindCommit, data)
	objects = append(objects, transport.Object{Kind: gitobj.KindCommit, ID: move.New, Data: data})
	if err := h.commit(ctx, objects, []transport.Command{move}); err != nil {
		return ListedConflict{}, fmt.Errorf("resolve conflict %s: %w", e.ID, err)
	}
	h.board.post(map[string]gitobj.ID{Conflicts: move.New})
	return ListedConflict{ID: e.ID, Record: record}, nil
}
