// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// ErrOtherKeys says that a store's keys lie elsewhere than whoever opens it believes.
var ErrOtherKeys = errors.New("its keys lie elsewhere")

// ErrNoPlace says that a key begins with none of the prefixes that a store serves.
var ErrNoPlace = errors.New("etcdserver: the key begins with no prefix that is served here")

// Keys says where keys lie in the tree, if that is not where they say. Only
// what reads and writes trees asks: committer, adoption and merges.
type Keys interface {
	// Tree returns the key in the tree of a key, and whether it has a place there.
	Tree(key string) (string, bool)
	// Key returns the key of a key in the tree, and whether it is served.
	Key(tree string) (string, bool)
	// String tells two of them apart.
	String() string
}

func (s *Store) treeKey(key string) (string, bool) {
	if !s.mapped {
		return key, true
	}
	return s.o.Keys.Tree(key)
}

func (s *Store) keyOf(tree string) (string, bool) {
	if !s.mapped {
		return tree, true
	}
	return s.o.Keys.Key(tree)
}

// keysText is what is recorded of them: a store of other keys is another one.
func (s *Store) keysText() string {
	if s.o.Keys == nil {
		return ""
	}
	return s.o.Keys.String()
}

// otherKeys says where a store's keys lie in truth, and where they were believed to lie.
func (s *Store) otherKeys(recorded string) error {
	named := func(text string) string { return cmp.Or(text, "where their paths say") }
	return fmt.Errorf("%w: %s, and not %s", ErrOtherKeys, named(recorded), named(s.keysText()))
}

// admitKeys refuses to put a key that has no place in the tree, unless it is of
// grain Local and needs none.
func (s *Store) admitKeys(t *Txn) error {
	if !s.mapped {
		return nil
	}
	for _, ops := range [][]Op{t.Then, t.Else} {
		for _, op := range ops {
			switch {
			case op.Txn != nil:
				if err := s.admitKeys(op.Txn); err != nil {
					return err
				}
			case op.Put != nil:
				if _, ok := s.o.Keys.Tree(op.Put.Key); !ok && s.o.Grains.Of(op.Put.Key) != layout.Local {
					return fmt.Errorf("%w: %q; the prefixes are %s", ErrNoPlace, op.Put.Key, s.o.Keys)
				}
			}
		}
	}
	return nil
}

// named returns what is dirty by the keys that clients know.
func (c *committer) named() map[string]dirtyKey {
	if !c.store.mapped {
		return c.dirty
	}
	out := make(map[string]dirtyKey, len(c.dirty))
	for tree, d := range c.dirty {
		if key, ok := c.store.o.Keys.Key(tree); ok {
			out[key] = d
		} else {
			out[tree] = d
		}
	}
	return out
}
