// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Status is what a hub says of itself.
type Status struct {
	// Main is the head of main, empty if there is none yet.
	Main string `json:"main"`
	// LastMerge is when main moved last.
	LastMerge *time.Time `json:"lastMerge,omitempty"`
	// Branches are the heavens' branches, by name.
	Branches []BranchStatus `json:"branches"`
	// Conflicts is how many conflicts were recorded since the hub started.
	Conflicts int64 `json:"conflicts"`
	// Records sums up the branch of conflicts.
	Records RecordStatus `json:"records"`
	// Merges is how many merge commits the hub made since it started, in how many passes.
	Merges int64 `json:"merges"`
	Passes int64 `json:"passes"`
	// Quarantine is what gates keep out of main.
	Quarantine QuarantineStatus `json:"quarantine"`
	// Traffic is what went over the wire.
	Traffic Traffic `json:"traffic"`
	// Forge is how far the forge is; absent if there is none.
	Forge any `json:"forge,omitempty"`
	// LastError is why the last pass came to nothing, if it did.
	LastError string `json:"lastError,omitempty"`
}

// BranchStatus is what a hub knows of one branch.
type BranchStatus struct {
	Name string `json:"name"`
	Head string `json:"head"`
	// Epoch and Holder say who writes the branch. 0 and empty: nobody has taken it.
	Epoch  int64  `json:"epoch,omitempty"`
	Holder string `json:"holder,omitempty"`
	// LastPush is when the branch was pushed last, since the hub started.
	LastPush *time.Time `json:"lastPush,omitempty"`
	// Merged says whether main holds all of the branch. Nil: a pass is due.
	Merged *bool `json:"merged,omitempty"`
	// Quarantined is how many of its changes wait in quarantine.
	Quarantined int `json:"quarantined,omitempty"`
	// LastError is why the branch's last push or merge was refused.
	LastError string `json:"lastError,omitempty"`
}

// Status returns what the hub knows.
func (h *Hub) Status() Status {
	refs := h.repo.Refs(heads)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Status{
		LastMerge: timeOrNil(h.merged.lastMerge),
		Branches:  []BranchStatus{},
		Conflicts: h.merged.conflicts,
		Merges:    h.merged.commits,
		Passes:    h.merged.passes,
		LastError: h.merged.lastErr,
		Records:   h.tally.status(),
		Traffic:   h.traffic.status(),
	}
	for ref, id := range refs {
		if !mergeable(ref) {
			continue
		}
		state := h.branches[ref]
		b := BranchStatus{
			Name: strings.TrimPrefix(ref, heads), Head: id.String(),
			LastPush: timeOrNil(state.lastPush), LastError: state.lastErr,
		}
		if held := h.lineage.holds(ref, id); held || state.lastErr != "" {
			b.Merged = &held
		}
		b.Epoch, b.Holder = h.writer(id)
		b.Quarantined = h.keeper.waiting(b.Name)
		s.Branches = append(s.Branches, b)
	}
	s.Quarantine = h.quarantineLocked()
	if h.o.Forge != nil {
		s.Forge = h.o.Forge()
	}
	if id, ok := h.repo.Ref(Main); ok { // read behind what it is said to hold, which a pass may have brought meanwhile
		s.Main = id.String()
	}
	slices.SortFunc(s.Branches, func(a, b BranchStatus) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// writer returns who writes a branch, by the trailers of its head: a branch's
// head is always its writer's own commit.
func (h *Hub) writer(head gitobj.ID) (epoch int64, holder string) {
	kind, data, err := h.repo.Get(head)
	if err != nil || kind != gitobj.KindCommit {
		return 0, ""
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		return 0, ""
	}
	holder, _ = c.Trailer("Holder")
	text, _ := c.Trailer("Epoch")
	epoch, err = strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, holder
	}
	return epoch, holder
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// serveStatus answers GET /v1/status.
func (h *Hub) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(h.Status()); err != nil {
		h.o.Log.Debug("status was not sent", "err", err)
	}
}
