// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// ErrMissing is wrapped by the error about an object that something reachable names and nobody has (R1).
var ErrMissing = errors.New("object is missing")

// deepest is how far directories and tags may be nested: far more than any
// key's, and no danger to the stack.
const deepest = 4096

// emptyTree is the tree without entries. Git knows it without having it.
var emptyTree = gitobj.Hash(gitobj.KindTree, nil)

// walk finds what the roots reach.
type walk struct {
	*contents
	shallow map[gitobj.ID]bool
	// newer are the objects outside of the table that were visited.
	newer map[gitobj.ID]struct{}
	// commits are in the order in which they were met: the latest before their parents.
	commits []gitobj.ID
	trees   []gitobj.ID // those that roots name directly
	kept    int
}

func newWalk(c *contents, shallow map[gitobj.ID]bool) *walk {
	return &walk{contents: c, shallow: shallow, newer: map[gitobj.ID]struct{}{}}
}

// visit marks an object, and says whether what it names is still to be visited.
func (w *walk) visit(id gitobj.ID, kind gitobj.Kind) (bool, error) {
	if place := w.table.find(id); place != none {
		e := &w.table.entries[place]
		if e.kind != 0 {
			return false, nil
		}
		e.kind = kind
		if !w.table.inputs[e.input].Stays {
			w.kept++
		}
		return true, nil
	}
	if _, ok := w.newer[id]; ok {
		return false, nil
	}
	switch w.around.Where(id) {
	case Settled:
		return false, nil
	case Newer:
		w.newer[id] = struct{}{}
		return true, nil
	default:
		if id == emptyTree {
			return false, nil
		}
		return false, fmt.Errorf("%s %s: %w", kind, id, ErrMissing)
	}
}

// run visits everything that the roots reach.
func (w *walk) run(ctx context.Context, roots Roots) error {
	for _, id := range roots.Blobs {
		if _, err := w.visit(id, gitobj.KindBlob); err != nil {
			return fmt.Errorf("keep a value: %w", err)
		}
	}
	for _, id := range roots.Objects {
		if err := w.root(id, 0); err != nil {
			return err
		}
	}
	for _, id := range roots.Commits {
		if err := errors.Join(ctx.Err(), w.history(id)); err != nil {
			return err
		}
	}
	for _, id := range slices.Backward(w.commits) { // parents first, about: their trees are the bases
		if err := errors.Join(ctx.Err(), w.treesOf(id)); err != nil {
			return fmt.Errorf("walk the tree of commit %s: %w", id, err)
		}
	}
	for _, id := range append(w.trees, roots.Trees...) {
		if err := errors.Join(ctx.Err(), w.tree(id, gitobj.Zero, 0)); err != nil {
			return fmt.Errorf("walk tree %s: %w", id, err)
		}
	}
	return nil
}

// root visits an object of any kind, and the commits behind it. Trees have to wait for them.
func (w *walk) root(id gitobj.ID, depth int) error {
	if w.table.find(id) == none && w.around.Where(id) == Settled {
		return nil
	}
	o, err := w.get(id)
	if err != nil {
		return err
	}
	switch o.kind {
	case gitobj.KindCommit:
		return w.history(id)
	case gitobj.KindTree:
		w.trees = append(w.trees, id)
		return nil
	case gitobj.KindTag:
		next, err := tagged(o.data)
		if fresh, visitErr := w.visit(id, o.kind); !fresh || visitErr != nil || err != nil || depth == deepest {
			return errors.Join(visitErr, err)
		}
		return w.root(next, depth+1)
	default:
		_, err := w.visit(id, o.kind)
		return err
	}
}

// history visits a commit and those before it.
func (w *walk) history(head gitobj.ID) error {
	todo := []gitobj.ID{head}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		fresh, err := w.visit(id, gitobj.KindCommit)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		w.commits = append(w.commits, id)
		if w.shallow[id] {
			continue
		}
		c, err := w.commit(id)
		if err != nil {
			return err
		}
		todo = append(todo, c.Parents...)
	}
	return nil
}

func (w *walk) commit(id gitobj.ID) (gitobj.Commit, error) {
	o, err := w.get(id)
	if err != nil {
		return gitobj.Commit{}, err
	}
	if o.kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("%s is a %s, not a commit: %w", id, o.kind, gitobj.ErrMalformed)
	}
	c, err := gitobj.DecodeCommit(o.data)
	if err != nil {
		return c, fmt.Errorf("commit %s: %w", id, err)
	}
	return c, nil
}

// treesOf visits what a commit's tree has and its first parent's does not: the
// parent is visited, too, or settled.
func (w *walk) treesOf(id gitobj.ID) error {
	c, err := w.commit(id)
	if err != nil {
		return err
	}
	var before gitobj.ID
	if len(c.Parents) > 0 && !w.shallow[id] {
		parent, err := w.commit(c.Parents[0])
		if err != nil {
			return err
		}
		before = parent.Tree
	}
	return w.tree(c.Tree, before, 0)
}

// tree visits a tree and what it has more than the one before it at the same path.
func (w *walk) tree(id, before gitobj.ID, depth int) error {
	if id == before {
		return nil
	}
	if depth == deepest {
		return fmt.Errorf("tree %s lies %d directories deep: %w", id, depth, gitobj.ErrMalformed)
	}
	fresh, err := w.visit(id, gitobj.KindTree)
	if err != nil || !fresh {
		return err
	}
	var was []byte
	if !before.IsZero() && before != emptyTree {
		o, err := w.get(before)
		if err != nil {
			return err
		}
		if o.kind == gitobj.KindTree {
			was = o.data
			w.follows(before, id)
		}
	}
	is, err := w.get(id)
	if err != nil {
		return err
	}
	if is.kind != gitobj.KindTree {
		return fmt.Errorf("%s is a %s, not a tree: %w", id, is.kind, gitobj.ErrMalformed)
	}
	return diffTrees(was, is.data, func(l line, before gitobj.ID) error {
		switch {
		case l.link:
			return nil
		case l.dir:
			return w.tree(l.id, before, depth+1)
		}
		if _, err := w.visit(l.id, gitobj.KindBlob); err != nil {
			return fmt.Errorf("%.200q in tree %s: %w", l.name, id, err)
		}
		w.precedes(before, l.id)
		return nil
	})
}

// follows notes that a tree may become a delta of the one before it.
func (w *walk) follows(before, id gitobj.ID) {
	if place, base := w.table.find(id), w.table.find(before); place != none && base != none && w.table.entries[place].rel == none {
		w.table.entries[place].rel = base
	}
}

// precedes notes that a value may become a delta of the one after it.
func (w *walk) precedes(before, id gitobj.ID) {
	if before.IsZero() {
		return
	}
	if place, base := w.table.find(before), w.table.find(id); place != none && base != none {
		w.table.entries[place].rel = base
	}
}

// tagged returns what a tag names.
func tagged(data []byte) (gitobj.ID, error) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	id, err := gitobj.ParseID(string(bytes.TrimPrefix(first, []byte("object "))))
	if err != nil {
		return id, fmt.Errorf("tag: %w", err)
	}
	return id, nil
}
