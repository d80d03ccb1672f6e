// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

const (
	// keptBytes bounds the objects of the virtual bases that a History remembers.
	// The next merge of two branches needs those of the last few.
	keptBytes = 8 << 20
	// maxNesting bounds how far back bases of bases are merged: it is reached by
	// branches that crossed in flight so many times in a row, after a restart.
	// What is wrong about so old a base matters only to a key that was changed
	// each of these times, and then leads to a conflict on record.
	maxNesting = 10_000
)

// head is a commit and the branch it is on.
type head struct {
	id     gitobj.ID
	branch string
}

// virtual is a base, and the objects that exist for its sake only.
type virtual struct {
	tree    gitobj.ID
	objects map[gitobj.ID]treeedit.Object
	filters []string // that were met on the way to it, as trailers write them
}

// size returns about how much memory a base takes.
func (v *virtual) size() int {
	n := 256
	for _, o := range v.objects {
		n += 128 + len(o.Data)
	}
	return n
}

// over returns a reader that has a base's objects too.
func (v *virtual) over(r Reader) Reader {
	if len(v.objects) == 0 {
		return r
	}
	return overlay{r, v.objects}
}

type overlay struct {
	r       Reader
	objects map[gitobj.ID]treeedit.Object
}

// Get implements Reader.
func (o overlay) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if obj, ok := o.objects[id]; ok {
		return obj.Kind, obj.Data, nil
	}
	return o.r.Get(id)
}

// base returns the tree from which two heads come.
func (h *History) base(ctx context.Context, r Reader, x, y head, p Policy, depth int) (*virtual, error) {
	w, err := h.walk(ctx, r, x.id, y.id)
	if err != nil {
		return nil, err
	}
	return h.resolve(ctx, r, w, x, y, p, depth)
}

// resolve turns the best common ancestors of two heads into their base.
func (h *History) resolve(ctx context.Context, r Reader, w *walk, x, y head, p Policy, depth int) (*virtual, error) {
	heads := w.heads(x, y, p)
	if depth >= maxNesting { // hardly ever; the latest has most of what the others have
		heads = heads[max(0, len(heads)-1):]
	}
	switch len(heads) {
	case 0:
		return &virtual{filters: w.filters}, nil
	case 1:
		only, readErr := treeOf(r, heads[0].id)
		return &virtual{tree: only, filters: w.filters}, readErr
	}
	if tree, ok := w.met(); ok {
		return &virtual{tree: tree, filters: w.filters}, nil
	}
	out, err := h.pair(ctx, r, heads[0], heads[1], p, depth+1)
	if err != nil {
		return nil, err
	}
	last := heads[0]
	for i, next := range heads[2:] {
		last = out.commit(last, heads[i+1], w.visits[heads[i+1].id].time, p)
		step, err := h.merge(ctx, out.over(r), last, next, p, depth+1)
		if err != nil {
			return nil, err
		}
		maps.Copy(step.objects, out.objects)
		out = step
	}
	met := *out // what is remembered stays as it is
	met.filters = append(slices.Clone(out.filters), w.filters...)
	slices.Sort(met.filters)
	met.filters = slices.Compact(met.filters)
	return &met, nil
}

// pair is two heads in the order in which they are merged.
type pair struct{ first, second head }

// pair merges two bases, and remembers the outcome.
func (h *History) pair(ctx context.Context, r Reader, x, y head, p Policy, depth int) (*virtual, error) {
	key := pair{x, y}
	if v, ok := h.bases[key]; ok {
		return v, nil
	}
	v, err := h.merge(ctx, r, x, y, p, depth)
	if err != nil {
		return nil, err
	}
	h.bases[key] = v
	h.order = append(h.order, key)
	for h.kept += v.size(); h.kept > keptBytes && len(h.order) > 1; h.order = h.order[1:] {
		h.kept -= h.bases[h.order[0]].size()
		delete(h.bases, h.order[0])
	}
	return v, nil
}

// merge merges two heads into a tree of objects that are not stored.
func (h *History) merge(ctx context.Context, r Reader, x, y head, p Policy, depth int) (*virtual, error) {
	base, err := h.base(ctx, r, x, y, p, depth)
	if err != nil {
		return nil, err
	}
	p.Ours, p.Theirs = x.branch, y.branch
	planned, err := Plan(ctx, base.over(r), base.tree, x.id, y.id, p)
	if err != nil {
		return nil, err
	}
	tree, err := treeOf(r, x.id)
	if err != nil {
		return nil, err
	}
	out := &virtual{objects: make(map[gitobj.ID]treeedit.Object), filters: base.filters}
	out.tree, err = Apply(ctx, treeedit.New(r, tree), planned.Changes, out.emit)
	return out, err
}

func (v *virtual) emit(o treeedit.Object) error {
	v.objects[o.ID] = o
	return nil
}

// commit makes the virtual base of two heads a head itself, so that a third
// can be merged with it.
func (v *virtual) commit(x, y head, at int64, p Policy) head {
	who := gitobj.Signature{Name: "gitcd", When: time.Unix(at, 0).UTC()}
	tree := v.tree
	if tree.IsZero() {
		tree = treeedit.EmptyTree
	}
	data := gitobj.Commit{Tree: tree, Parents: []gitobj.ID{x.id, y.id}, Author: who, Committer: who}.Encode()
	id := gitobj.Hash(gitobj.KindCommit, data)
	v.objects[id] = treeedit.Object{Kind: gitobj.KindCommit, ID: id, Data: data}
	if y.branch == p.Integrator {
		return head{id, y.branch}
	}
	return head{id, x.branch}
}

// met finds a tree that both sides had after they had merged all bases: it is
// a state that both come from, as good as a base.
func (w *walk) met() (tree gitobj.ID, ok bool) {
	sides := make(map[gitobj.ID]marks) // tree -> the sides that had it
	for _, v := range w.visits {
		missing := slices.ContainsFunc(w.bases, func(base gitobj.ID) bool { return !slices.Contains(v.parents, base) })
		if missing || v.marks&fromBoth == fromBoth {
			continue
		}
		sides[v.tree] |= v.marks & fromBoth
	}
	for candidate, m := range sides {
		if m == fromBoth && (!ok || candidate.Compare(tree) < 0) {
			tree, ok = candidate, true
		}
	}
	return tree, ok
}

// heads returns the bases as heads, the earliest first.
func (w *walk) heads(x, y head, p Policy) []head {
	mine, yours := w.firstCommon(x.id), w.firstCommon(y.id)
	out := make([]head, 0, len(w.bases))
	for _, id := range w.bases {
		on := head{id, id.String()} // on neither branch itself: a name that is nobody's, but the same everywhere
		switch {
		case id == mine && id != yours:
			on.branch = x.branch
		case id == yours && id != mine:
			on.branch = y.branch
		case id == mine:
			on.branch = p.Integrator
		}
		out = append(out, on)
	}
	slices.SortFunc(out, func(a, b head) int {
		return cmp.Or(cmp.Compare(w.visits[a.id].time, w.visits[b.id].time), a.id.Compare(b.id))
	})
	return out
}

// firstCommon follows a branch, which is the line of first parents, back to
// the first commit that the other head has too.
func (w *walk) firstCommon(id gitobj.ID) gitobj.ID {
	for {
		v := w.visits[id]
		if v == nil || v.marks&fromBoth == fromBoth {
			return id
		}
		if len(v.parents) == 0 {
			return gitobj.Zero
		}
		id = v.parents[0]
	}
}
