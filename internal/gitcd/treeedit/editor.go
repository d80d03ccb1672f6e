// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit

import (
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Reader gives the content of objects. The content must not change afterwards:
// an editor keeps it.
type Reader interface {
	// Get returns an object's kind and content, or an error if it is not there.
	Get(id gitobj.ID) (gitobj.Kind, []byte, error)
}

// Object is a tree to be stored.
type Object struct {
	Kind gitobj.Kind
	ID   gitobj.ID
	Data []byte
	// Base and Delta say the same content as a Git delta against the tree that
	// this one replaces. They are left out where a delta would save little.
	Base  gitobj.ID
	Delta []byte
}

// EmptyTree is the id of the tree without entries. No Reader needs to have it.
var EmptyTree = gitobj.Hash(gitobj.KindTree, nil)

// keptBytes is how much tree content an editor keeps between rounds. Beyond
// it, what the last round did not pass through is dropped and read again when needed.
const keptBytes = 16 << 20

// A tree of largeTree bytes is not checked again by an editor that knows it. It remembers keptChecks of them.
const (
	largeTree  = 16 << 10
	keptChecks = 1024
)

// Editor collects edits by key and writes the trees that result. It is not
// safe for concurrent use.
type Editor struct {
	r       Reader
	root    *dir
	pending edit
	dirty   bool

	round uint64 // the number of the last Write, by which dirs are known to be in use
	kept  int    // bytes of tree content that root's family holds

	checked map[gitobj.ID]struct{} // large trees that are known to be in order
}

// dir is a directory whose content is known, or can be read.
type dir struct {
	id       gitobj.ID
	data     []byte
	read     bool
	children map[string]*dir // name -> a sub-directory read before; valid if the entry still has its id
	used     uint64          // the round that last passed through
}

// edit is a node in the tree of pending edits, by path component.
type edit struct {
	set   bool             // the key that ends here is to be set, or deleted
	blob  gitobj.ID        // its new value; nothing deletes
	below map[string]*edit // component -> edits of keys that go on
}

// New returns an editor of the tree with this id; a zero id means an empty tree.
func New(r Reader, root gitobj.ID) *Editor {
	return &Editor{r: r, root: &dir{id: root}, checked: make(map[gitobj.ID]struct{})}
}

// Set gives a key a value with the next Write.
func (e *Editor) Set(_ context.Context, key string, blob gitobj.ID) error {
	if blob.IsZero() {
		return fmt.Errorf("set key %q: no blob: delete the key instead", key)
	}
	e.put(key, blob)
	return nil
}

// Delete removes a key with the next Write. A key that is not there stays away.
func (e *Editor) Delete(_ context.Context, key string) error {
	e.put(key, gitobj.Zero)
	return nil
}

// Reset drops pending edits and continues from another tree. What the two
// trees share need not be read again.
func (e *Editor) Reset(root gitobj.ID) {
	e.pending, e.dirty = edit{}, false
	if e.root.id != root {
		e.root = &dir{id: root, children: e.root.children}
	}
}

func (e *Editor) put(key string, blob gitobj.ID) {
	at := &e.pending
	for _, name := range layout.Split(key) {
		next := at.below[name]
		if next == nil {
			if at.below == nil {
				at.below = make(map[string]*edit)
			}
			next = new(edit)
			at.below[name] = next
		}
		at = next
	}
	at.set, at.blob = true, blob
	e.dirty = true
}

// Write applies the edits since the last Write, hands each new tree to emit,
// and returns the new root. After an error the edits are still pending.
func (e *Editor) Write(ctx context.Context, emit func(Object) error) (gitobj.ID, error) {
	if !e.dirty && !e.root.id.IsZero() {
		return e.root.id, nil
	}
	w := writer{r: e.r, emit: emit, round: e.round + 1, kept: e.kept, checked: e.checked}
	root, err := w.dir(ctx, "", e.root, gitobj.Zero, &e.pending)
	if err != nil {
		return gitobj.Zero, fmt.Errorf("write tree: %w", err)
	}
	e.root, e.pending, e.dirty = root, edit{}, false
	e.round, e.kept = w.round, w.kept
	if e.kept > keptBytes {
		e.kept = root.forget(e.round)
	}
	return root.id, nil
}

// forget drops the directories that a round did not pass through, and returns
// how many bytes are left.
func (d *dir) forget(round uint64) int {
	left := len(d.data)
	for name, child := range d.children {
		if child.used != round {
			delete(d.children, name)
			continue
		}
		left += child.forget(round)
	}
	return left
}
