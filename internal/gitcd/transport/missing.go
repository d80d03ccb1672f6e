// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"container/heap"
	"context"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Item is one object to send.
type Item struct {
	Kind gitobj.Kind
	ID   gitobj.ID
	// Base is the object that lies at the same path one commit earlier, or Zero.
	// The receiver has it, or it comes earlier in the list: good to make a delta of.
	Base gitobj.ID
}

// Missing lists what the wants reach and the haves do not, each object after
// what it names. Its cost follows the difference: it walks commits from young to old
// until all that is left is reachable from the haves, and compares each new
// commit's tree with its parents' trees. Haves that the store lacks are passed over.
func Missing(ctx context.Context, store Objects, wants, haves []gitobj.ID) ([]Item, error) {
	w := &ancestry{store: store, nodes: map[gitobj.ID]*node{}}
	for _, id := range haves {
		if store.Has(id) {
			if err := w.reach(id, true); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range wants {
		if err := w.reach(id, false); err != nil {
			return nil, err
		}
	}
	fresh, err := w.fresh(ctx)
	if err != nil {
		return nil, err
	}
	var items []Item
	walk := newTreeWalk(store)
	walk.leave = func(kind gitobj.Kind, id, base gitobj.ID) {
		items = append(items, Item{Kind: kind, ID: id, Base: base})
	}
	for _, n := range fresh {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		bases := make([]gitobj.ID, 0, len(n.commit.Parents))
		for _, p := range n.commit.Parents {
			if parent, err := w.commit(p); err == nil {
				bases = append(bases, parent.Tree)
			}
		}
		if err := walk.root(n.commit.Tree, bases); err != nil {
			return nil, fmt.Errorf("list tree of commit %s: %w", n.id, err)
		}
		items = append(items, Item{Kind: gitobj.KindCommit, ID: n.id})
	}
	return items, nil
}

// node is a commit met on a walk.
type node struct {
	id     gitobj.ID
	commit gitobj.Commit
	known  bool // reachable from the haves
	queued bool
}

// ancestry walks commits from young to old.
type ancestry struct {
	store Objects
	nodes map[gitobj.ID]*node // commit -> what is known of it
	queue youngest
	live  int // queued nodes that are not known
}

// reach notes that a commit is reachable from the wants or, if known, from the haves.
func (a *ancestry) reach(id gitobj.ID, known bool) error {
	n := a.nodes[id]
	if n == nil {
		c, err := readCommit(a.store, id)
		if err != nil {
			if known {
				return nil // the other side may know more than we do
			}
			return err
		}
		n = &node{id: id, commit: c, known: known}
		a.nodes[id] = n
		a.enqueue(n)
		return nil
	}
	if !known || n.known {
		return nil
	}
	n.known = true
	if n.queued {
		a.live--
		heap.Init(&a.queue)
	} else {
		a.enqueue(n) // it was taken for new: tell its parents
	}
	return nil
}

func (a *ancestry) enqueue(n *node) {
	n.queued = true
	if !n.known {
		a.live++
	}
	heap.Push(&a.queue, n)
}

// fresh returns the commits that the wants reach and the haves do not, parents first.
func (a *ancestry) fresh(ctx context.Context) ([]*node, error) {
	var out []*node
	for a.live > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, ok := heap.Pop(&a.queue).(*node)
		if !ok {
			break
		}
		n.queued = false
		if !n.known {
			a.live--
			out = append(out, n)
		}
		for _, p := range n.commit.Parents {
			if err := a.reach(p, n.known); err != nil {
				return nil, fmt.Errorf("walk parents of commit %s: %w", n.id, err)
			}
		}
	}
	return a.parentsFirst(out), nil
}

// parentsFirst orders the commits that turned out not to be known. Dates do
// not: they may be equal, and clocks may be wrong.
func (a *ancestry) parentsFirst(fresh []*node) []*node {
	out := make([]*node, 0, len(fresh))
	listed := make(map[gitobj.ID]bool, len(fresh)) // false: its parents are being listed
	var stack []*node
	for _, n := range slices.Backward(fresh) {
		stack = append(stack, n)
		for len(stack) > 0 {
			n := stack[len(stack)-1]
			done, met := listed[n.id]
			if n.known || met {
				stack = stack[:len(stack)-1]
				if met && !done {
					listed[n.id] = true
					out = append(out, n)
				}
				continue
			}
			listed[n.id] = false
			for _, p := range n.commit.Parents {
				if parent := a.nodes[p]; parent != nil {
					stack = append(stack, parent)
				}
			}
		}
	}
	return out
}

func (a *ancestry) commit(id gitobj.ID) (gitobj.Commit, error) {
	if n := a.nodes[id]; n != nil {
		return n.commit, nil
	}
	return readCommit(a.store, id)
}

func readCommit(store Objects, id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := store.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s", id, kind)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	return c, nil
}

// youngest is a heap of commits, the youngest first. Of equal age the known
// come first, so that they overtake what is not yet known to be theirs.
type youngest []*node

func (y youngest) Len() int { return len(y) }

func (y youngest) Less(i, j int) bool {
	a, b := y[i].commit.Committer.When, y[j].commit.Committer.When
	if a.Equal(b) {
		return y[i].known && !y[j].known
	}
	return a.After(b)
}

func (y youngest) Swap(i, j int) { y[i], y[j] = y[j], y[i] }

// Push is for container/heap.
func (y *youngest) Push(x any) {
	if n, ok := x.(*node); ok {
		*y = append(*y, n)
	}
}

// Pop is for container/heap.
func (y *youngest) Pop() any {
	last := len(*y) - 1
	n := (*y)[last]
	(*y)[last] = nil
	*y = (*y)[:last]
	return n
}
