// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Bases returns the best common ancestors of two commits, in the order of
// their ids: those that are not ancestors of others. It reads the commits that
// only one side has, and few beyond.
func Bases(ctx context.Context, r Reader, a, b gitobj.ID) ([]gitobj.ID, error) {
	w, err := NewHistory(r).walk(ctx, r, a, b)
	if err != nil {
		return nil, err
	}
	return w.bases, nil
}

// walk finds the best common ancestors of two commits.
func (h *History) walk(ctx context.Context, r Reader, a, b gitobj.ID) (*walk, error) {
	w, err := walkBack(ctx, r, a, b, h.lens)
	if err == nil {
		err = w.dropAncestors(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("find merge bases of %s and %s: %w", a, b, err)
	}
	return w, nil
}

// marks says from where a commit was reached.
type marks uint8

const (
	fromFirst marks = 1 << iota
	fromSecond
	stale // it is an ancestor of a common ancestor
	common

	fromBoth = fromFirst | fromSecond
)

// visit is a commit on the way back through history.
type visit struct {
	id      gitobj.ID
	tree    gitobj.ID
	time    int64
	parents []gitobj.ID
	marks   marks
	queued  bool
}

// walk is a way back from two commits until all that is left is common.
type walk struct {
	r      Reader
	visits map[gitobj.ID]*visit
	queue  visitQueue
	fresh  int // visits in the queue that are not stale
	bases  []gitobj.ID
	lens   *lens
	// filters are those that held something back on the way, as trailers write them.
	filters []string
}

// walkBack paints the ancestors of both commits, the latest first. Clocks may
// be wrong: then more is read, and what turns out to be an ancestor of another
// base is sorted out at the end.
func walkBack(ctx context.Context, r Reader, a, b gitobj.ID, l *lens) (*walk, error) {
	w := &walk{r: r, visits: make(map[gitobj.ID]*visit), lens: l}
	if err := w.reach(a, fromFirst); err != nil {
		return nil, err
	}
	if err := w.reach(b, fromSecond); err != nil {
		return nil, err
	}
	var found []*visit
	for w.fresh > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v := w.pop()
		pass := v.marks & (fromBoth | stale)
		if pass&fromBoth == fromBoth {
			if v.marks&common == 0 {
				v.marks |= common
				found = append(found, v)
			}
			pass |= stale
		}
		for _, parent := range v.parents {
			if err := w.reach(parent, pass); err != nil {
				return nil, err
			}
		}
	}
	for _, v := range found {
		if v.marks&stale == 0 {
			w.bases = append(w.bases, v.id)
		}
	}
	slices.SortFunc(w.bases, gitobj.ID.Compare)
	return w, nil
}

// reach marks a commit, and queues it if that was news.
func (w *walk) reach(id gitobj.ID, m marks) error {
	v := w.visits[id]
	if v == nil {
		c, err := readCommit(w.r, id)
		if err != nil {
			return err
		}
		v = &visit{id: id, tree: c.Tree, time: c.Committer.When.Unix(), parents: w.lines(c)}
		w.visits[id] = v
	}
	if v.marks&m == m {
		return nil
	}
	wasFresh := v.queued && v.marks&stale == 0
	v.marks |= m
	isFresh := v.marks&stale == 0
	switch {
	case wasFresh && !isFresh:
		w.fresh--
	case !wasFresh && isFresh:
		w.fresh++
	}
	if !v.queued {
		v.queued = true
		heap.Push(&w.queue, v)
	}
	return nil
}

// lines returns the parents of a commit that count: not those of which the
// keys that the lens is for were held back.
func (w *walk) lines(c gitobj.Commit) []gitobj.ID {
	held := heldBack(c.Message)
	if held == nil {
		return c.Parents
	}
	var out []gitobj.ID
	for _, parent := range c.Parents {
		filters, ok := held[parent]
		if ok && !slices.Contains(w.filters, filters) {
			w.filters = append(w.filters, filters)
		}
		if !ok || !w.lens.cuts(filters) {
			out = append(out, parent)
		}
	}
	return out
}

func (w *walk) pop() *visit {
	v, _ := heap.Pop(&w.queue).(*visit) // it holds nothing else
	v.queued = false
	if v.marks&stale == 0 {
		w.fresh--
	}
	return v
}

// dropAncestors leaves only bases that are not ancestors of others, which
// wrong clocks can bring about.
func (w *walk) dropAncestors(ctx context.Context) error {
	if len(w.bases) < 2 {
		return nil
	}
	redundant := make(map[gitobj.ID]bool)
	for _, base := range w.bases {
		for _, other := range w.bases {
			if base == other || redundant[other] {
				continue
			}
			between, err := walkBack(ctx, w.r, base, other, w.lens)
			if err != nil {
				return err
			}
			if between.visits[base].marks&fromSecond != 0 { // no commit on the way to it can be stale
				redundant[base] = true
				break
			}
		}
	}
	w.bases = slices.DeleteFunc(w.bases, func(id gitobj.ID) bool { return redundant[id] })
	return nil
}

// readCommit reads a commit.
func readCommit(r Reader, id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := r.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s: %w", id, kind, gitobj.ErrMalformed)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	return c, nil
}

// visitQueue is a heap with the latest commit on top.
type visitQueue []*visit

// Len implements heap.Interface.
func (q visitQueue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q visitQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[j].time, q[i].time), q[i].id.Compare(q[j].id)) < 0
}

// Swap implements heap.Interface.
func (q visitQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *visitQueue) Push(v any) {
	if v, ok := v.(*visit); ok {
		*q = append(*q, v)
	}
}

// Pop implements heap.Interface.
func (q *visitQueue) Pop() any {
	old := *q
	v := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return v
}
