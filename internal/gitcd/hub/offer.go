// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import "strings"

// remotes is where refs of other repositories are kept.
const remotes = "refs/remotes/"

// Offer has the next pass merge a ref of a remote's into main, as a branch
// called <remote>/<name>. A pass that fails keeps it in mind; a restart does
// not: whoever brought the ref offers it again.
func (h *Hub) Offer(ref string) {
	h.mu.Lock()
	h.pending[ref] = struct{}{}
	h.mu.Unlock()
	h.signal()
}

// begins says whether main may begin with a branch: with that of genesis, or
// with that or main as a remote has them.
func (h *Hub) begins(branch string) bool {
	if branch == h.o.Genesis {
		return true
	}
	_, name, ok := strings.Cut(branch, "/")
	return ok && !IsBranch(branch) && (name == h.o.Genesis || name == mainBranch)
}

// branchOf returns what a ref is called in policies, records and messages.
func branchOf(ref string) string {
	if name, ok := strings.CutPrefix(ref, remotes); ok {
		return name
	}
	return strings.TrimPrefix(ref, heads)
}
