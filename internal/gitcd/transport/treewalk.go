// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// A walk remembers this many trees, and bytes of them: a commit's trees are the
// bases of the next one's.
const (
	keptTrees     = 512
	keptTreeBytes = 32 << 20
)

// deepest is how far directories may be nested: far more than any key's, and
// no danger to the stack.
const deepest = 1024

// emptyTree is the tree without entries. Git knows it without having it.
var emptyTree = gitobj.Hash(gitobj.KindTree, nil)

// treeWalk visits what is in trees and not in their bases, each object once.
type treeWalk struct {
	store Objects
	// enter is told of an object before what it holds, with its path. It says
	// whether the object counts: if not, neither does what it holds.
	enter func(where string, kind gitobj.Kind, id gitobj.ID) (bool, error)
	// leave is told of an object that counts, after what it holds.
	leave func(kind gitobj.Kind, id, base gitobj.ID)
	seen  map[gitobj.ID]struct{} // objects visited
	trees map[gitobj.ID][]byte   // encoded trees, a cache
	held  int                    // bytes in it
	depth int
}

func newTreeWalk(store Objects) *treeWalk {
	return &treeWalk{
		store: store,
		enter: func(string, gitobj.Kind, gitobj.ID) (bool, error) { return true, nil },
		leave: func(gitobj.Kind, gitobj.ID, gitobj.ID) {},
		seen:  map[gitobj.ID]struct{}{},
		trees: map[gitobj.ID][]byte{},
	}
}

// root walks a commit's tree. The bases are the trees of its parents.
func (w *treeWalk) root(id gitobj.ID, bases []gitobj.ID) error {
	return w.object("", gitobj.ModeDir, id, bases)
}

func (w *treeWalk) object(where string, mode uint32, id gitobj.ID, bases []gitobj.ID) error {
	if mode == modeSubmodule {
		return nil // a commit of another repository
	}
	if _, ok := w.seen[id]; ok || id == emptyTree && !w.store.Has(id) {
		return nil
	}
	if slices.Contains(bases, id) {
		return nil
	}
	w.seen[id] = struct{}{}
	var base gitobj.ID
	for _, b := range slices.Backward(bases) { // commits come after their parents: what these hold is there, or was visited
		w.seen[b] = struct{}{}
		base = b
	}
	kind := gitobj.KindBlob
	if mode == gitobj.ModeDir {
		kind = gitobj.KindTree
	}
	counts, err := w.enter(where, kind, id)
	if err != nil || !counts {
		return err
	}
	if kind == gitobj.KindTree {
		if err := w.directory(where, id, bases); err != nil {
			return err
		}
	}
	w.leave(kind, id, base)
	return nil
}

func (w *treeWalk) directory(where string, id gitobj.ID, bases []gitobj.ID) error {
	tree, err := w.tree(id)
	if err != nil {
		return fmt.Errorf("read tree of /%s: %w", where, err)
	}
	if w.depth++; w.depth > deepest {
		return fmt.Errorf("directories are nested more than %d deep: %w", deepest, ErrLimit)
	}
	defer func() { w.depth-- }()
	return w.entries(where, tree, bases)
}

// entries walks the entries of a tree that none of its bases has. All are in
// the same order, so that runs of entries that a base has, too, are one comparison.
func (w *treeWalk) entries(where string, tree []byte, bases []gitobj.ID) error {
	c, err := gitobj.NewCursor(tree)
	if err != nil {
		return err
	}
	old := w.cursors(bases)
	for !c.Done() {
		var same int
		var below []gitobj.ID
		if old, below, same = compare(&c, old); same > 0 {
			if err := c.Pass(same); err != nil {
				return err
			}
			continue
		}
		mode, err := c.Bits()
		if err != nil {
			return err
		}
		if err := w.object(path.Join(where, string(c.Name)), mode, c.ID(), below); err != nil {
			return err
		}
		if err := c.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// cursors stands on the first entry of each base.
func (w *treeWalk) cursors(bases []gitobj.ID) []gitobj.Cursor {
	out := make([]gitobj.Cursor, 0, len(bases))
	for _, b := range bases {
		data, err := w.tree(b)
		if err != nil {
			continue // a base only saves work
		}
		if c, err := gitobj.NewCursor(data); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// compare looks in the bases for what a tree has next: what lies below that
// name in them, or how many bytes follow that one of them has as well. Bases
// that cannot be read are left out of what is returned.
func compare(c *gitobj.Cursor, bases []gitobj.Cursor) (left []gitobj.Cursor, below []gitobj.ID, same int) {
	left = bases[:0]
	for i := range bases {
		b := bases[i]
		if same < len(c.Data)-c.At {
			if b.Seek(c.Name, c.Dir) != nil {
				continue
			}
			if !b.Done() && b.Compare(c.Name, c.Dir) == 0 && bytes.Equal(b.Mode(), c.Mode()) {
				below = append(below, b.ID())
				if b.ID() == c.ID() {
					same = max(same, gitobj.Common(c.Data[c.At:], b.Data[b.At:]))
				}
			}
		}
		left = append(left, b)
	}
	return left, below, same
}

func (w *treeWalk) tree(id gitobj.ID) ([]byte, error) {
	if t, ok := w.trees[id]; ok {
		return t, nil
	}
	if id == emptyTree {
		return nil, nil
	}
	kind, data, err := w.store.Get(id)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", id, err)
	}
	if kind != gitobj.KindTree {
		return nil, fmt.Errorf("get %s: it is a %s", id, kind)
	}
	if len(w.trees) >= keptTrees || w.held+len(data) > keptTreeBytes {
		clear(w.trees)
		w.held = 0
	}
	w.trees[id] = data
	w.held += len(data)
	return data, nil
}
