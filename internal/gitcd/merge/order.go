// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// order returns the ids of a list's items, gone ones included, in the order of
// the merged list. It is the same with the sides swapped.
func (m *merger) order(p path, field schema.Field, base, first, second items) []string {
	if !field.Ordered {
		return baseOrder(base, first, second)
	}
	f, s := first.shared(second), second.shared(first)
	if slices.Equal(f, s) {
		return zip(first, second)
	}
	spine, other := first, second
	fMoved := !slices.Equal(first.shared(base), base.shared(first))
	sMoved := !slices.Equal(second.shared(base), base.shared(second))
	switch {
	case fMoved && !sMoved:
	case sMoved && !fMoved:
		spine, other = second, first
	default: // both moved them, or added the same items in different orders
		winner, why := m.decide(p, first.list, second.list)
		m.record(conflict{path: p, base: base.list, first: first.list, second: second.list, took: winner, why: why})
		if winner == &m.second {
			spine, other = second, first
		}
	}
	return insert(spine, other)
}

// baseOrder has the items of the base in its order and new ones, sorted, behind them.
func baseOrder(base, first, second items) []string {
	var added []string
	for _, side := range []items{first, second} {
		for _, id := range side.order {
			if _, ok := base.byID[id]; !ok {
				added = append(added, id)
			}
		}
	}
	slices.Sort(added)
	return slices.Concat(base.order, slices.Compact(added))
}

// shared returns the ids of the items that another list has too.
func (l items) shared(other items) []string {
	var out []string
	for _, id := range l.order {
		if _, ok := other.byID[id]; ok {
			out = append(out, id)
		}
	}
	return out
}

// zip joins two lists that have what both have in the same order. Between two
// shared items, the run of the one list goes before that of the other whose
// first item sorts later.
func zip(first, second items) []string {
	out := make([]string, 0, len(first.order)+len(second.order))
	f, s := first.order, second.order
	for len(f)+len(s) > 0 {
		var a, b []string
		a, f = run(f, second)
		b, s = run(s, first)
		if len(b) > 0 && (len(a) == 0 || strings.Compare(b[0], a[0]) < 0) {
			a, b = b, a
		}
		out = append(append(out, a...), b...)
		if len(f) > 0 { // then s begins with the same item
			out = append(out, f[0])
			f, s = f[1:], s[1:]
		}
	}
	return out
}

// run returns the items up to the first that another list has, and the rest.
func run(ids []string, other items) (before, rest []string) {
	n := slices.IndexFunc(ids, func(id string) bool {
		_, ok := other.byID[id]
		return ok
	})
	if n < 0 {
		n = len(ids)
	}
	return ids[:n], ids[n:]
}

// insert puts what only the other list has behind the item that it follows there.
func insert(spine, other items) []string {
	after := map[string][]string{}
	last := ""
	for _, id := range other.order {
		if _, ok := spine.byID[id]; ok {
			last = id
			continue
		}
		after[last] = append(after[last], id)
	}
	out := slices.Clone(after[""])
	for _, id := range spine.order {
		out = append(append(out, id), after[id]...)
	}
	return out
}
