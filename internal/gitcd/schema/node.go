// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

// node is the type of a value. A nil node is a type of which nothing is known.
type node struct {
	Field
	names map[string]*node // the types of fields
	other *node            // the type of fields with other names
	item  *node            // the type of items
}

// below follows a path down.
func (n *node) below(p Path) *node {
	for _, name := range p {
		switch {
		case n == nil:
			return nil
		case name == Item:
			n = n.item
		default:
			n = n.child(name)
		}
	}
	return n
}

func (n *node) child(name string) *node {
	if c, ok := n.names[name]; ok {
		return c
	}
	return n.other
}

// lookup returns what is known of a field.
func (n *node) lookup(p Path) Field {
	if n = n.below(p); n == nil {
		return Field{}
	}
	return n.Field
}

// useful says whether a node is worth its memory.
func (n *node) useful() bool {
	return n.Shape != Unknown || n.Limits != nil || len(n.names) > 0 || n.other != nil || n.item != nil
}
