// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keymap says which key of a tree a key of an etcd is, when a store
// serves keys from another place than where they lie. It is pure.
//
//	rule /registry/ = clusters/blue/
//
//	etcd key  /registry/pods/default/web ─► Tree ─► /clusters/blue/pods/default/web   tree key, whose path layout knows
//	                                     ◄─ Key  ◄─
//
// The door is between the store and its trees: the committer asks for the tree
// key of what it writes, adoption and merges for the key of what they read. All
// that a client can ask for, ranges, watches, compares, leases and grains, is
// about etcd keys alone, in which nothing is mapped.
//
// A key that begins with no rule's prefix has no place; a tree key in no rule's
// directory is not served. A Map without rules maps every key to itself.
//
// # Laws
//
//	K1 Injective.  Two keys never share a tree key, and Key(Tree(k)) is k; Tree(Key(t)) is t.
//	K2 In order.   Below one rule, keys and tree keys are in the same order.
//	K3 Checked.    New refuses rules that would break K1, and names both of them.
package keymap

import (
	"fmt"
	"strconv"
	"strings"
)

// Rule says that the keys with a prefix lie in a directory.
type Rule struct {
	// Prefix of keys: empty, or ending in a slash.
	Prefix string
	// Tree is the directory: empty for the whole tree, or ending in a slash, without one in front.
	Tree string
}

// Map maps keys to tree keys and back. The zero value maps every key to itself.
type Map struct{ rules []Rule }

// New returns the map of rules.
func New(rules []Rule) (Map, error) {
	for i, r := range rules {
		if r.Prefix != "" && !strings.HasSuffix(r.Prefix, "/") {
			return Map{}, fmt.Errorf("map keys: the prefix %q must end in a slash, or be empty", r.Prefix)
		}
		if r.Tree != "" && !strings.HasSuffix(r.Tree, "/") || strings.HasPrefix(r.Tree, "/") {
			return Map{}, fmt.Errorf("map keys: the directory %q must end in a slash and begin with none, or be empty", r.Tree)
		}
		for _, other := range rules[:i] {
			if overlap(r.Prefix, other.Prefix) {
				return Map{}, fmt.Errorf("map keys: the prefixes %q and %q overlap: a key would have two places", other.Prefix, r.Prefix)
			}
			if overlap(r.Tree, other.Tree) {
				return Map{}, fmt.Errorf("map keys: the directories %q and %q overlap: two keys would have one place", other.Tree, r.Tree)
			}
		}
	}
	return Map{rules: rules}, nil
}

func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// Tree returns the tree key of a key, and whether it has one.
func (m Map) Tree(key string) (string, bool) {
	if len(m.rules) == 0 {
		return key, true
	}
	for _, r := range m.rules {
		if rest, ok := strings.CutPrefix(key, r.Prefix); ok {
			return "/" + r.Tree + rest, true
		}
	}
	return "", false
}

// Key returns the key of a tree key, and whether it is served.
func (m Map) Key(tree string) (string, bool) {
	if len(m.rules) == 0 {
		return tree, true
	}
	path, rooted := strings.CutPrefix(tree, "/")
	if !rooted {
		return "", false
	}
	for _, r := range m.rules {
		if rest, ok := strings.CutPrefix(path, r.Tree); ok {
			return r.Prefix + rest, true
		}
	}
	return "", false
}

// String names the rules, in their order. Maps of equal strings are equal.
func (m Map) String() string {
	var out []string
	for _, r := range m.rules {
		out = append(out, strconv.Quote(r.Prefix)+"="+strconv.Quote(r.Tree))
	}
	return strings.Join(out, " ")
}
