// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"bytes"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// line is an entry of a tree as it lies in the tree's content.
type line struct {
	raw, name []byte
	dir, link bool
	id        gitobj.ID
}

// firstLine returns the first entry of what is left of a tree.
func firstLine(tree []byte) (line, error) {
	zero := bytes.IndexByte(tree, 0)
	space := bytes.IndexByte(tree[:max(zero, 0)], ' ')
	if space < 1 || len(tree) < zero+1+gitobj.IDSize {
		return line{}, fmt.Errorf("entry of a tree is cut short: %w", gitobj.ErrMalformed)
	}
	end := zero + 1 + gitobj.IDSize
	mode := tree[:space]
	return line{
		raw: tree[:end], name: tree[space+1 : zero], id: gitobj.ID(tree[zero+1 : end]),
		dir: mode[0] == '4' || bytes.HasPrefix(mode, []byte("04")), link: mode[0] == '1' && bytes.HasPrefix(mode, []byte("16")),
	}, nil
}

// compareLines orders as Git does: a directory's name ends in a slash.
func compareLines(a, b line) int {
	n := min(len(a.name), len(b.name))
	if c := bytes.Compare(a.name[:n], b.name[:n]); c != 0 {
		return c
	}
	return int(a.after(n)) - int(b.after(n))
}

func (l line) after(n int) byte {
	switch {
	case n < len(l.name):
		return l.name[n]
	case l.dir:
		return '/'
	default:
		return 0
	}
}

// diffTrees yields the entries of a tree that another one does not have, with
// the id that the other one has at the same name and of the same sort, or Zero.
func diffTrees(was, is []byte, yield func(l line, before gitobj.ID) error) error {
	for len(is) > 0 {
		l, err := firstLine(is)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(was, l.raw) {
			was, is = was[len(l.raw):], is[len(l.raw):]
			continue
		}
		if len(was) == len(is) && bytes.Equal(was, is) {
			return nil
		}
		var before gitobj.ID
		if before, was, err = counterpart(was, l); err != nil {
			return err
		}
		is = is[len(l.raw):]
		if err := yield(l, before); err != nil {
			return err
		}
	}
	return nil
}

// counterpart returns the id that a tree has at the name of a line, or Zero, and what of the tree is behind it.
func counterpart(was []byte, l line) (id gitobj.ID, rest []byte, err error) {
	for len(was) > 0 {
		old, err := firstLine(was)
		if err != nil {
			return id, nil, err
		}
		order := compareLines(old, l)
		if order > 0 {
			break
		}
		was = was[len(old.raw):]
		if order == 0 {
			return old.id, was, nil
		}
	}
	return id, was, nil
}
