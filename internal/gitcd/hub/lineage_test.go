// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// TestLineage shows that a lineage never calls a move forward that may not be.
func TestLineage(t *testing.T) {
	id := func(n byte) gitobj.ID { return gitobj.ID{n} }
	l := newLineage()
	const branch = "refs/heads/nodes/n"
	l.grow(id(1), nil)
	l.grow(id(2), map[string]gitobj.ID{branch: id(20)})
	l.grow(id(3), nil)
	came := map[gitobj.ID][]gitobj.ID{
		id(30): {id(3)},          // on a main that holds the branch
		id(31): {id(2)},          // on the first main that does
		id(32): {id(1)},          // on one that does not
		id(33): {id(20)},         // on the old head itself
		id(34): {id(99), id(30)}, // on both something unknown and such a main
		id(35): {id(99)},
	}
	for to, want := range map[byte]bool{30: true, 31: true, 32: false, 33: true, 34: true, 35: false, 3: true, 1: false, 20: true} {
		if got := l.forward(transport.Command{Name: branch, Old: id(20), New: id(to)}, came); got != want {
			t.Errorf("to %d: %v, want %v", to, got, want)
		}
	}
	// The branch has moved, and main does not hold it yet.
	if l.forward(transport.Command{Name: branch, Old: id(21), New: id(30)}, came) {
		t.Error("a main is taken to hold what it does not")
	}
	if l.forward(transport.Command{Name: "refs/heads/nodes/other", Old: id(20), New: id(30)}, came) {
		t.Error("another branch is taken for this one")
	}
}
