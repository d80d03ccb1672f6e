// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// keptMains is how many of main's heads a lineage knows: an hour of a busy cluster.
const keptMains = 1 << 14

// lineage knows main's last heads in their order, and which of them was the
// first to hold each branch. With that, a push of a heaven that was idle for
// long is seen to go forward without walking all that happened since: its
// new commits are on a head of main that holds the branch's old head.
type lineage struct {
	// mu guards what follows.
	mu     sync.Mutex
	next   int
	number map[gitobj.ID]int // head of main -> its place in the order
	mains  []gitobj.ID       // those in number, the oldest first
	merged map[string]merged // ref -> its head, and the first main that holds it
}

type merged struct {
	head gitobj.ID
	main int
}

func newLineage() *lineage {
	return &lineage{number: map[gitobj.ID]int{}, merged: map[string]merged{}}
}

// grow notes that main has moved to a head that holds the branches' heads.
func (l *lineage) grow(main gitobj.ID, heads map[string]gitobj.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, known := l.number[main]
	if !known {
		at = l.next
		l.next++
		l.number[main] = at
		l.mains = append(l.mains, main)
	}
	if len(l.mains) > keptMains {
		delete(l.number, l.mains[0])
		l.mains = l.mains[1:]
	}
	for ref, head := range heads {
		if l.merged[ref].head != head {
			l.merged[ref] = merged{head: head, main: at}
		}
	}
}

// holds says whether main is known to hold a branch's head.
func (l *lineage) holds(ref string, head gitobj.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !head.IsZero() && l.merged[ref].head == head
}

// forward says whether a move is known to go forward. False is no verdict.
func (l *lineage) forward(c transport.Command, came map[gitobj.ID][]gitobj.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, known := l.merged[c.Name]
	known = known && m.head == c.Old
	seen := map[gitobj.ID]bool{}
	stack := []gitobj.ID{c.New}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if at, isMain := l.number[id]; id == c.Old || known && isMain && at >= m.main {
			return true
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		stack = append(stack, came[id]...)
	}
	return false
}

// parentsOf returns the commits among objects, with their parents.
func parentsOf(objects []transport.Object) map[gitobj.ID][]gitobj.ID {
	out := map[gitobj.ID][]gitobj.ID{}
	for _, o := range objects {
		if o.Kind != gitobj.KindCommit {
			continue
		}
		if c, err := gitobj.DecodeCommit(o.Data); err == nil { // it was parsed before
			out[o.ID] = c.Parents
		}
	}
	return out
}
