// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// Reader gives the content of objects: commits, trees and blobs.
type Reader = treeedit.Reader

// ChangeKind says which sides changed a key since the base.
type ChangeKind uint8

// The kinds of change.
const (
	OursOnly ChangeKind = iota + 1
	TheirsOnly
	Both
)

// String returns the kind's name.
func (k ChangeKind) String() string {
	switch k {
	case OursOnly:
		return "ours only"
	case TheirsOnly:
		return "theirs only"
	case Both:
		return "both"
	default:
		return "unknown"
	}
}

// KeyDiff is a key that is not the same in three trees; a zero id means that
// the key is not there.
type KeyDiff struct {
	Key                string
	Kind               ChangeKind
	Base, Ours, Theirs gitobj.ID
}

// Trees yields the keys that some side changed since the base. Sub-trees that
// no side changed are not read. Zero is the empty tree.
func Trees(ctx context.Context, r Reader, base, ours, theirs gitobj.ID, yield func(KeyDiff) error) error {
	unchanged := func(ids []gitobj.ID) bool { return ids[0] == ids[1] && ids[0] == ids[2] }
	return join(ctx, r, []gitobj.ID{base, ours, theirs}, unchanged, yield)
}

// incoming yields the keys that a merge into ours has to look at: those that
// theirs changed, and not to what ours has already.
func incoming(ctx context.Context, r Reader, base, ours, theirs gitobj.ID, yield func(KeyDiff) error) error {
	nothing := func(ids []gitobj.ID) bool { return ids[2] == ids[0] || ids[2] == ids[1] }
	return join(ctx, r, []gitobj.ID{base, ours, theirs}, nothing, yield)
}

func join(ctx context.Context, r Reader, roots []gitobj.ID, skip func([]gitobj.ID) bool, yield func(KeyDiff) error) error {
	for i, root := range roots {
		if root == treeedit.EmptyTree {
			roots[i] = gitobj.Zero
		}
	}
	err := treeedit.Join(ctx, r, roots, skip, func(key string, ids []gitobj.ID) error {
		d := KeyDiff{Key: key, Kind: Both, Base: ids[0], Ours: ids[1], Theirs: ids[2]}
		switch {
		case d.Theirs == d.Base:
			d.Kind = OursOnly
		case d.Ours == d.Base:
			d.Kind = TheirsOnly
		}
		return yield(d)
	})
	if err != nil {
		return fmt.Errorf("compare trees %s, %s and %s: %w", roots[0], roots[1], roots[2], err)
	}
	return nil
}
