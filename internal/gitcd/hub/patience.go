// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"slices"
	"time"
)

// Lazy is the push option by which a heaven says that a push holds nothing but
// leases and heartbeats: it may wait for company.
const Lazy = "lazy"

// awaitPassLocked notes that a branch waits for a pass, or that it waits for
// company: a pass for somebody else takes it along.
func (h *Hub) awaitPassLocked(ref string, options []string, now time.Time) {
	if _, due := h.pending[ref]; !due && slices.Contains(options, Lazy) {
		h.patient[ref] = struct{}{}
		if h.waiting.IsZero() {
			h.waiting = now
		}
	} else if !slices.Contains(options, Lazy) {
		delete(h.patient, ref)
	}
	h.pending[ref] = struct{}{}
}

// patience returns how long the next pass is to wait for company: not at all
// if a single branch does not.
func (h *Hub) patience() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pending) == 0 || h.waiting.IsZero() {
		return 0
	}
	for ref := range h.pending {
		if _, waits := h.patient[ref]; !waits {
			return 0
		}
	}
	return h.waiting.Add(h.o.LazyWait).Sub(h.o.Clock.Now())
}
