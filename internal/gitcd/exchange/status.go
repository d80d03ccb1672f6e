// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import "time"

// Status is what an exchange says of itself.
type Status struct {
	Branch string `json:"branch"`
	Epoch  int64  `json:"epoch"`
	Holder string `json:"holder,omitempty"`
	// Connected says whether the link is up, as far as the watch stream or the last poll knows.
	Connected bool `json:"connected"`
	// Head is the store's, Pushed the branch's upstream, Main the last one that the head holds.
	Head   string `json:"head,omitempty"`
	Pushed string `json:"pushed,omitempty"`
	Main   string `json:"main,omitempty"`
	// LastPush and LastFetch are when something was handed in and brought home last.
	LastPush  *time.Time `json:"lastPush,omitempty"`
	LastFetch *time.Time `json:"lastFetch,omitempty"`
	// Unpushed says whether the head holds something that the upstream lacks; since when, UnpushedSince tells.
	Unpushed      bool       `json:"unpushed"`
	UnpushedSince *time.Time `json:"unpushedSince,omitempty"`
	// Behind says whether main holds something that the head lacks.
	Behind bool `json:"behind"`
	// Pushes, Merges and Conflicts count since the start.
	Pushes    int64 `json:"pushes"`
	Merges    int64 `json:"merges"`
	Conflicts int64 `json:"conflicts"`
	// Fenced says that another writer has the branch.
	Fenced bool `json:"fenced,omitempty"`
	// LastError is what went wrong last and what to do about it; empty when all is well.
	LastError string `json:"lastError,omitempty"`
}

// Status returns how the exchange goes.
func (x *Exchange) Status() Status {
	head := x.store.Head()
	x.status.mu.Lock()
	defer x.status.mu.Unlock()
	s := x.status.s
	if !head.IsZero() {
		s.Head = head.String()
	}
	return s
}
