// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"fmt"
	"path"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// keptTrees is how many decoded trees a walk remembers: a commit's trees are
// the bases of the next one's.
const keptTrees = 512

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
	seen  map[gitobj.ID]struct{}    // objects visited
	trees map[gitobj.ID]gitobj.Tree // decoded trees, a cache
	depth int
}

func newTreeWalk(store Objects) *treeWalk {
	return &treeWalk{
		store: store,
		enter: func(string, gitobj.Kind, gitobj.ID) (bool, error) { return true, nil },
		leave: func(gitobj.Kind, gitobj.ID, gitobj.ID) {},
		seen:  map[gitobj.ID]struct{}{},
		trees: map[gitobj.ID]gitobj.Tree{},
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

// entries walks the entries of a tree that none of its bases has.
func (w *treeWalk) entries(where string, tree gitobj.Tree, bases []gitobj.ID) error {
	old := make([]gitobj.Tree, 0, len(bases))
	for _, b := range bases {
		if t, err := w.tree(b); err == nil { // a base only saves work
			old = append(old, t)
		}
	}
	at := make([]int, len(old)) // how far each base is read: all are in the same order
	var below []gitobj.ID
	for _, e := range tree {
		below = below[:0]
		same := false
		for i, t := range old {
			for at[i] < len(t) && t[at[i]].Compare(e) < 0 {
				at[i]++
			}
			if at[i] < len(t) && t[at[i]].Name == e.Name && t[at[i]].Mode == e.Mode {
				same = same || t[at[i]].ID == e.ID
				below = append(below, t[at[i]].ID)
			}
		}
		if same {
			continue
		}
		if err := w.object(path.Join(where, e.Name), e.Mode, e.ID, append([]gitobj.ID(nil), below...)); err != nil {
			return err
		}
	}
	return nil
}

func (w *treeWalk) tree(id gitobj.ID) (gitobj.Tree, error) {
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
	t, err := gitobj.DecodeTree(data)
	if err != nil {
		return nil, err
	}
	if len(w.trees) >= keptTrees {
		clear(w.trees)
	}
	w.trees[id] = t
	return t, nil
}
