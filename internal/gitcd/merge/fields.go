// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// root merges two updates of one object field by field.
func (m *merger) root() *object {
	merged := newObject()
	for _, name := range weave(m.first.root.names, m.second.root.names) {
		p := path(nil).field(name)
		base, first, second := m.base.root.get(name), m.first.root.get(name), m.second.root.get(name)
		if p.is("metadata") {
			merged.set(name, m.metadata(base, first, second))
			continue
		}
		merged.set(name, m.value(p, base, first, second))
	}
	merged = m.valid(m.statements(merged))
	meta, ok := merged.get("metadata").(*object)
	if ok {
		meta.set("generation", m.generation(merged))
		m.fit(merged, meta)
	}
	return merged
}

// value merges one field: absent is a field that is not there.
func (m *merger) value(p path, base, first, second any) any {
	switch {
	case equal(first, second), equal(second, base):
		return first
	case equal(first, base):
		return second
	}
	field := m.policy.Schema.Lookup(m.typ, p.schema())
	before := len(m.conflicts)
	if mixed, ok := m.mix(p, field, base, first, second); ok && !torn(field.Limits, mixed, first, second) {
		return mixed
	}
	m.conflicts = m.conflicts[:before] // those of its parts: it is decided as a whole
	return m.conflict(p, base, first, second)
}

// mix merges a field part by part; false if its parts do not come from two sides.
func (m *merger) mix(p path, field schema.Field, base, first, second any) (mixed any, ok bool) {
	switch field.Shape {
	case schema.Unknown, schema.Map:
		if b, f, s, ok := asObjects(base, first, second); ok {
			return m.fields(p, b, f, s), true
		}
	case schema.Set:
		if b, f, s, ok := m.lists(base, first, second, scalarID); ok {
			return keep(m.items(p, field, b, f, s), first, second), true
		}
	case schema.KeyedList:
		if b, f, s, ok := m.lists(base, first, second, keyedID(field)); ok {
			return keep(m.items(p, field, b, f, s), first, second), true
		}
	case schema.Atomic:
	}
	return nil, false
}

// asObjects returns the values as objects. Where a side has none, the field counts
// as an object without fields: what the other side added to it is kept.
func asObjects(base, first, second any) (b, f, s *object, ok bool) {
	f, fok := first.(*object)
	s, sok := second.(*object)
	if !fok && first != absent || !sok && second != absent {
		return nil, nil, nil, false
	}
	b, _ = base.(*object)
	return b, f, s, true
}

// fields merges an object field by field.
func (m *merger) fields(p path, base, first, second *object) any {
	merged := newObject()
	for _, name := range weave(names(first), names(second)) {
		merged.set(name, m.value(p.field(name), base.get(name), first.get(name), second.get(name)))
	}
	if len(merged.names) == 0 && (first == nil || second == nil) {
		return absent
	}
	return merged
}

func names(o *object) []string {
	if o == nil {
		return nil
	}
	return o.names
}

// weave joins two orders of names into one that, as far as it can, keeps both:
// a name that only the second has follows the name that it followed there.
func weave(first, second []string) []string {
	if slices.Equal(first, second) {
		return first
	}
	if slices.IsSorted(first) && slices.IsSorted(second) { // labels, and all fields of custom resources
		out := slices.Concat(first, second)
		slices.Sort(out)
		return slices.Compact(out)
	}
	have := make(map[string]bool, len(first))
	for _, name := range first {
		have[name] = true
	}
	after := make(map[string][]string) // name -> names of the second alone that follow it there
	last := ""
	for _, name := range second {
		if have[name] {
			last = name
			continue
		}
		after[last] = append(after[last], name)
	}
	out := slices.Clone(after[""])
	for _, name := range first {
		out = append(out, name)
		if name != "" {
			out = append(out, after[name]...)
		}
	}
	return out
}
