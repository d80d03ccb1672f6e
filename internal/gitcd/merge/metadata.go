// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"slices"
	"strconv"
)

// metadata merges what is about the object: some fields of it are more than their value.
func (m *merger) metadata(base, first, second any) *object {
	b, f, s, _ := asObjects(base, first, second) // parseObject has seen that the sides are objects
	deletion := m.deletion(f, s)
	merged := newObject()
	for _, name := range weave(names(f), names(s)) {
		p := path{{name: "metadata"}, {name: name}}
		switch name {
		case "generation":
			merged.set(name, f.get(name)) // keeps the place; root sets it when the spec is known
		case "deletionTimestamp", "deletionGracePeriodSeconds":
			merged.set(name, deletion.get(name))
		case "managedFields":
			merged.set(name, m.managedFields(p, b.get(name), f.get(name), s.get(name)))
		case "ownerReferences":
			merged.set(name, m.oneController(p, b.get(name), f.get(name), s.get(name)))
		default:
			merged.set(name, m.value(p, b.get(name), f.get(name), s.get(name)))
		}
	}
	return merged
}

// deletion returns the metadata that has the deletion to come: the earlier
// one, for a deletion is never taken back.
func (m *merger) deletion(first, second *object) *object {
	const stamp, grace = "deletionTimestamp", "deletionGracePeriodSeconds"
	switch {
	case second.get(stamp) == absent:
		return first
	case first.get(stamp) == absent:
		return second
	}
	x, y := timeAt(first, stamp), timeAt(second, stamp)
	if y.Before(x) || y.Equal(x) && compareInt(second.get(grace), first.get(grace)) < 0 {
		return second
	}
	return first
}

// generation returns the generation of the merged object, absent if it has none.
func (m *merger) generation(merged *object) any {
	gen := func(root *object) any { return at(root, "metadata", "generation") }
	spec := func(root *object) *object { return root.without("metadata", "status") }
	f, s := gen(m.first.root), gen(m.second.root)
	if f == absent && s == absent {
		return absent
	}
	higher := f
	if compareInt(f, s) < 0 || f == absent {
		higher = s
	}
	isFirst, isSecond := equal(spec(merged), spec(m.first.root)), equal(spec(merged), spec(m.second.root))
	switch {
	case isFirst && isSecond,
		isFirst && compareInt(f, s) > 0,
		isSecond && compareInt(s, f) > 0:
		return higher
	default:
		return json.Number(strconv.FormatInt(whole(higher)+1, 10))
	}
}

// oneController merges ownerReferences such that at most one is a controller.
func (m *merger) oneController(p path, base, first, second any) any {
	merged := m.value(p, base, first, second)
	list, ok := merged.([]any)
	if !ok {
		return merged
	}
	var keep string // the lowest uid of a controller
	count := 0
	for _, ref := range list {
		if at(ref, "controller") != true {
			continue
		}
		count++
		if uid := text(ref, "uid"); keep == "" || uid < keep {
			keep = uid
		}
	}
	if count < 2 {
		return merged
	}
	winner := &m.second
	if refs, ok := first.([]any); ok && slices.ContainsFunc(refs, func(ref any) bool { return text(ref, "uid") == keep }) {
		winner = &m.first
	}
	m.record(conflict{path: p, base: base, first: first, second: second, took: winner, why: OneController})
	return slices.DeleteFunc(slices.Clone(list), func(ref any) bool {
		return at(ref, "controller") == true && text(ref, "uid") != keep
	})
}
