// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status is what a mirror says of itself.
type Status struct {
	// URL is the forge's repository.
	URL string `json:"url"`
	// Connected says whether the forge answered the last time.
	Connected bool `json:"connected"`
	// OldestUnpushed is when the oldest change was made that the forge lacks. Nil: it lacks nothing.
	OldestUnpushed *time.Time `json:"oldestUnpushed,omitempty"`
	// RPOSeconds is its age: how much would be lost with the hub's volume and all heavens. 0: nothing.
	RPOSeconds float64 `json:"rpoSeconds"`
	// Branches are those that the forge lacks something of, by name.
	Branches []Branch `json:"branches,omitempty"`
	// LastLook and LastPush are when the forge was last looked at and handed something in.
	LastLook *time.Time `json:"lastLook,omitempty"`
	LastPush *time.Time `json:"lastPush,omitempty"`
	// NextTry is when the forge is asked again after a failure.
	NextTry *time.Time `json:"nextTry,omitempty"`
	// Pushes and Failures count since the start.
	Pushes   int64 `json:"pushes"`
	Failures int64 `json:"failures"`
	// TakenIn is how often others had pushed to a branch at the forge, Lost how often a branch there had lost something.
	TakenIn int64 `json:"takenIn"`
	Lost    int64 `json:"lost"`
	// Kept are the branches with histories of the forge's that are not merged: somebody has to look at them.
	Kept []string `json:"kept,omitempty"`
	// LastError is what is wrong and what to do about it; empty when all is well.
	LastError string `json:"lastError,omitempty"`
}

// Branch is a branch that the forge lacks something of.
type Branch struct {
	Name   string    `json:"name"`
	Oldest time.Time `json:"oldest"`
}

// status is what Status tells.
type status struct {
	mu sync.Mutex
	s  Status
}

// Status returns how far the forge is.
func (m *Mirror) Status() Status {
	now := m.o.Clock.Now()
	waiting := m.ledger.waiting()
	m.status.mu.Lock()
	s := m.status.s
	m.status.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(waiting)) {
		at := waiting[name].UTC()
		s.Branches = append(s.Branches, Branch{Name: name, Oldest: at})
		if s.OldestUnpushed == nil || at.Before(*s.OldestUnpushed) {
			s.OldestUnpushed = &at
			s.RPOSeconds = max(0, now.Sub(at).Seconds())
		}
	}
	for ref := range m.repo.Refs(heads + rewritten) {
		s.Kept = append(s.Kept, strings.TrimPrefix(ref, heads))
	}
	slices.Sort(s.Kept)
	return s
}

// note changes the status.
func (m *Mirror) note(change func(*Status)) {
	m.status.mu.Lock()
	defer m.status.mu.Unlock()
	change(&m.status.s)
}

func timeOf(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}
