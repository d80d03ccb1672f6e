// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// Change is what a merge does to one key of ours.
type Change struct {
	Key    string
	Delete bool
	// Blob is the key's new blob, zero if it is deleted.
	Blob gitobj.ID
	// Value is the key's new value if the merge made it. It is nil if the blob
	// is one that theirs had: Content reads that.
	Value []byte
	// Base, Ours and Theirs are the blobs that were merged, for a caller that
	// finds the key changed meanwhile and has to merge it again.
	Base, Ours, Theirs gitobj.ID
	// Rule is the rule by which the key was decided.
	Rule Rule
}

// Content returns the key's new value, nil if it is deleted.
func (c Change) Content(r Reader) ([]byte, error) {
	if c.Delete || c.Value != nil {
		return c.Value, nil
	}
	return readValue(r, c.Key, c.Blob)
}

// Planned is what a merge does to ours.
type Planned struct {
	Changes   []Change // in the order of the keys
	Conflicts []Conflict
}

// Plan merges theirs into ours, both of which come from base; the ids are of
// trees, or of commits that have them, and zero is the empty tree. Changes
// turn ours into the merged tree. It writes nothing.
func Plan(ctx context.Context, r Reader, base, ours, theirs gitobj.ID, p Policy) (Planned, error) {
	return plan(ctx, r, base, ours, theirs, p, func(string) bool { return true })
}

// plan is Plan for the keys that are wanted.
func plan(ctx context.Context, r Reader, base, ours, theirs gitobj.ID, p Policy, wanted func(key string) bool) (Planned, error) {
	var roots [3]gitobj.ID
	for i, id := range []gitobj.ID{base, ours, theirs} {
		tree, err := treeOf(r, id)
		if err != nil {
			return Planned{}, fmt.Errorf("plan merge: %w", err)
		}
		roots[i] = tree
	}
	var out Planned
	known := newSchemas(r, roots[0], roots[1], roots[2], p)
	err := incoming(ctx, r, roots[0], roots[1], roots[2], func(d KeyDiff) error {
		if !wanted(d.Key) {
			return nil
		}
		c := Change{
			Key: d.Key, Base: d.Base, Ours: d.Ours, Theirs: d.Theirs,
			Blob: d.Theirs, Delete: d.Theirs.IsZero(), Rule: OneSide,
		}
		if d.Kind == Both {
			keyPolicy, err := known.policyFor(ctx, d.Key)
			if err != nil {
				return err
			}
			result, err := mergeBlobs(r, d, keyPolicy)
			if err != nil {
				return err
			}
			out.Conflicts = append(out.Conflicts, result.Conflicts...)
			c = result.change(c)
		}
		if c.Blob != d.Ours {
			out.Changes = append(out.Changes, c)
		}
		return nil
	})
	if err != nil {
		return Planned{}, fmt.Errorf("plan merge: %w", err)
	}
	out.sort()
	return out, nil
}

// sort brings a plan into the order of the keys.
func (p Planned) sort() {
	slices.SortFunc(p.Changes, func(a, b Change) int { return strings.Compare(a.Key, b.Key) })
	slices.SortStableFunc(p.Conflicts, func(a, b Conflict) int { return strings.Compare(a.Key, b.Key) })
}

// treeOf returns the tree of a commit, and a tree as it is.
func treeOf(r Reader, id gitobj.ID) (gitobj.ID, error) {
	if id.IsZero() || id == treeedit.EmptyTree {
		return gitobj.Zero, nil
	}
	kind, data, err := r.Get(id)
	if err != nil {
		return gitobj.Zero, fmt.Errorf("read %s: %w", id, err)
	}
	switch kind {
	case gitobj.KindTree:
		return id, nil
	case gitobj.KindCommit:
		c, err := gitobj.DecodeCommit(data)
		if err != nil {
			return gitobj.Zero, fmt.Errorf("read %s: %w", id, err)
		}
		return c.Tree, nil
	case gitobj.KindBlob, gitobj.KindTag:
	}
	return gitobj.Zero, fmt.Errorf("read %s: it is a %s, not a commit or a tree: %w", id, kind, gitobj.ErrMalformed)
}

// mergeBlobs merges a key that both sides changed.
func mergeBlobs(r Reader, d KeyDiff, p Policy) (Result, error) {
	var in [3]input
	for i, blob := range []gitobj.ID{d.Base, d.Ours, d.Theirs} {
		if blob.IsZero() {
			continue
		}
		value, err := readValue(r, d.Key, blob)
		if err != nil {
			return Result{}, err
		}
		in[i] = input{data: value, blob: blob}
	}
	return mergeObject(d.Key, in[0], in[1], in[2], p), nil
}

func readValue(r Reader, key string, blob gitobj.ID) ([]byte, error) {
	kind, data, err := r.Get(blob)
	if err != nil {
		return nil, fmt.Errorf("read value of key %q: %w", key, err)
	}
	if kind != gitobj.KindBlob {
		return nil, fmt.Errorf("read value of key %q: %s is a %s: %w", key, blob, kind, gitobj.ErrMalformed)
	}
	value, err := layout.Value(data)
	if err != nil {
		return nil, fmt.Errorf("read value of key %q from blob %s: %w", key, blob, err)
	}
	if value == nil {
		value = []byte{} // a value without bytes is there; nil is a key that is not
	}
	return value, nil
}

// change turns what was merged into the change of ours.
func (r Result) change(c Change) Change {
	c.Rule, c.Delete = r.Rule, r.Deleted
	switch {
	case r.Deleted:
		c.Blob = gitobj.Zero
	case r.Rule == Same && c.Theirs.Compare(c.Ours) < 0:
		c.Blob = c.Theirs // blobs that spell one value differently: take the same one on both branches
	case r.Took == Ours:
		c.Blob = c.Ours
	case r.Took == Theirs:
		c.Blob = c.Theirs
	default:
		c.Value = r.Value
		c.Blob = gitobj.Hash(gitobj.KindBlob, layout.Blob(r.Value))
	}
	return c
}

// Apply makes the changes with an editor of ours, and returns the merged tree.
// What is new, blobs and trees, is handed to emit.
func Apply(ctx context.Context, e *treeedit.Editor, changes []Change, emit func(treeedit.Object) error) (gitobj.ID, error) {
	for _, c := range changes {
		if c.Delete {
			if err := e.Delete(ctx, c.Key); err != nil {
				return gitobj.Zero, fmt.Errorf("apply merge: %w", err)
			}
			continue
		}
		if c.Value != nil {
			if err := emit(treeedit.Object{Kind: gitobj.KindBlob, ID: c.Blob, Data: layout.Blob(c.Value)}); err != nil {
				return gitobj.Zero, fmt.Errorf("apply merge: %w", err)
			}
		}
		if err := e.Set(ctx, c.Key, c.Blob); err != nil {
			return gitobj.Zero, fmt.Errorf("apply merge: %w", err)
		}
	}
	root, err := e.Write(ctx, emit)
	if err != nil {
		return gitobj.Zero, fmt.Errorf("apply merge: %w", err)
	}
	return root, nil
}
