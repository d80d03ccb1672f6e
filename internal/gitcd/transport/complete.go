// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// The reasons for which what arrived is refused.
var (
	// ErrIncomplete means that an object names another that neither came along nor was there.
	ErrIncomplete = errors.New("incomplete pack")
	// ErrUnsafe means that a tree holds something that gitcd does not take in.
	ErrUnsafe = errors.New("unsafe tree")
	// ErrLimit means that a limit was passed.
	ErrLimit = errors.New("limit passed")
)

// arrival is what came in, over what is there.
type arrival struct {
	store Objects
	came  map[gitobj.ID]Object // id -> object, in quarantine
	// foreign admits what any Git repository may have.
	foreign bool
}

// Get reads from the quarantine, then from the store.
func (a arrival) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if o, ok := a.came[id]; ok {
		return o.Kind, o.Data, nil
	}
	return a.store.Get(id)
}

// Has looks into the quarantine, then into the store.
func (a arrival) Has(id gitobj.ID) bool {
	if _, ok := a.came[id]; ok {
		return true
	}
	return a.store.Has(id)
}

// Over returns a view of the store as it will be when the objects are in it.
func Over(store Objects, came []Object) Objects {
	a := arrival{store: store, came: make(map[gitobj.ID]Object, len(came))}
	for _, o := range came {
		a.came[o.ID] = o
	}
	return a
}

// Complete checks what arrived against what is there (laws T1 and T2) and
// returns the new objects that the tips reach, each after what it names (T4).
func Complete(ctx context.Context, store Objects, came []Object, tips []gitobj.ID) ([]Object, error) {
	return complete(ctx, store, came, tips, false)
}

func complete(ctx context.Context, store Objects, came []Object, tips []gitobj.ID, foreign bool) ([]Object, error) {
	a := arrival{store: store, came: make(map[gitobj.ID]Object, len(came)), foreign: foreign}
	for _, o := range came {
		if !store.Has(o.ID) {
			a.came[o.ID] = o
		}
	}
	commits, err := a.commits(ctx, tips)
	if err != nil {
		return nil, err
	}
	kept := make([]Object, 0, len(came))
	walk := newTreeWalk(a)
	walk.enter = a.check
	walk.leave = func(_ gitobj.Kind, id, _ gitobj.ID) { kept = append(kept, a.came[id]) }
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var bases []gitobj.ID
		for _, p := range c.commit.Parents {
			parent, err := readCommit(a, p)
			if err != nil {
				return nil, fmt.Errorf("check parent of commit %s: %w: %w", c.id, ErrIncomplete, err)
			}
			bases = append(bases, parent.Tree)
		}
		if err := walk.root(c.commit.Tree, bases); err != nil {
			return nil, fmt.Errorf("check commit %s: %w", c.id, err)
		}
		kept = append(kept, a.came[c.id])
	}
	return kept, nil
}

// commits returns the new commits that the tips reach, parents first.
func (a arrival) commits(ctx context.Context, tips []gitobj.ID) ([]*node, error) {
	var out []*node
	state := map[gitobj.ID]bool{} // commit -> all its parents are listed
	stack := append([]gitobj.ID(nil), tips...)
	for len(stack) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := stack[len(stack)-1]
		done, met := state[id]
		if _, fresh := a.came[id]; !fresh || done {
			stack = stack[:len(stack)-1]
			if err := a.knownCommit(id, fresh); err != nil {
				return nil, err
			}
			continue
		}
		c, err := readCommit(a, id)
		if err != nil {
			return nil, fmt.Errorf("check commits: %w", err)
		}
		if met {
			stack = stack[:len(stack)-1]
			state[id] = true
			out = append(out, &node{id: id, commit: c})
			continue
		}
		state[id] = false
		for _, p := range c.Parents {
			if !state[p] {
				stack = append(stack, p)
			}
		}
	}
	return out, nil
}

// knownCommit checks that a commit which did not come along was there.
func (a arrival) knownCommit(id gitobj.ID, fresh bool) error {
	if fresh {
		return nil
	}
	if !a.store.Has(id) {
		return fmt.Errorf("commit %s neither came along nor was there: %w", id, ErrIncomplete)
	}
	_, err := readCommit(a.store, id)
	return err
}

// check admits an object into a new tree. Objects that were there count no
// further than being of the right kind.
func (a arrival) check(where string, kind gitobj.Kind, id gitobj.ID) (bool, error) {
	o, fresh := a.came[id]
	if !fresh && !a.store.Has(id) {
		return false, fmt.Errorf("%s %s of /%s neither came along nor was there: %w", kind, id, where, ErrIncomplete)
	}
	if !fresh {
		have, _, err := a.store.Get(id)
		if err != nil {
			return false, fmt.Errorf("read %s of /%s: %w", id, where, err)
		}
		o.Kind = have
	}
	if o.Kind != kind {
		return false, fmt.Errorf("/%s is a %s by its tree and a %s by itself: %w", where, kind, o.Kind, ErrUnsafe)
	}
	if !fresh || kind != gitobj.KindTree {
		return fresh, nil
	}
	admit := checkEntry
	if a.foreign {
		admit = checkForeignEntry
	}
	if err := checkTree(o.Data, admit); err != nil {
		return false, fmt.Errorf("/%s: %w", where, err)
	}
	return true, nil
}

// checkTree looks at every entry of a tree. It decodes none for that: a large
// directory arrives as a whole with every name in it that changes.
func checkTree(data []byte, admit func(mode uint32, name []byte) error) error {
	c, err := gitobj.NewCursor(data)
	for ; err == nil && !c.Done(); err = c.Advance() {
		mode, err := c.Bits()
		switch {
		case err != nil:
			return fmt.Errorf("read tree at byte %d: %w", c.At, err)
		case bytes.IndexByte(c.Name, '/') >= 0:
			return fmt.Errorf("read tree at byte %d: name %q has a slash: %w", c.At, c.Name, gitobj.ErrMalformed)
		case len(c.Mode()) > 1 && c.Mode()[0] == '0':
			return fmt.Errorf("a mode is padded with zeros: %w", ErrUnsafe)
		}
		if err := admit(mode, c.Name); err != nil {
			return err
		}
	}
	return err
}

// dotGit is what a repository's own directory is called, in lower case.
var dotGit = []byte(".git")

// checkForeignEntry refuses what stock Git refuses.
func checkForeignEntry(mode uint32, name []byte) error {
	switch {
	case string(name) == "." || string(name) == ".." || bytes.EqualFold(name, dotGit):
		return fmt.Errorf("entry %q could be taken for a directory that is none of the tree's: %w", name, ErrUnsafe)
	case mode != gitobj.ModeFile && mode != gitobj.ModeDir && mode != modeExec && mode != modeOld && mode != modeLink && mode != modeSubmodule:
		return fmt.Errorf("entry %q has mode %06o, which Git does not know: %w", name, mode, ErrUnsafe)
	}
	return nil
}

// The modes that gitcd does not write.
const (
	modeExec      = 0o100755
	modeOld       = 0o100664 // of early versions of Git
	modeLink      = 0o120000
	modeSubmodule = 0o160000
)

// checkEntry holds law T2.
func checkEntry(mode uint32, name []byte) error {
	switch {
	case mode != gitobj.ModeFile && mode != gitobj.ModeDir:
		return fmt.Errorf("entry %q has mode %06o, want a file (100644) or a directory (40000): %w", name, mode, ErrUnsafe)
	case string(name) == "." || string(name) == "..":
		return fmt.Errorf("entry %q leads out of its directory: %w", name, ErrUnsafe)
	case len(name) >= 4 && bytes.EqualFold(name[:4], dotGit):
		return fmt.Errorf("entry %q could be taken for a repository's own directory: %w", name, ErrUnsafe)
	case bytes.IndexByte(name, '\\') >= 0 || bytes.IndexByte(name, ':') >= 0:
		return fmt.Errorf("entry %q has a separator of other systems: %w", name, ErrUnsafe)
	}
	return nil
}
