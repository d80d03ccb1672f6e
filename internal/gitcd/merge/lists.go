// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// items are the items of a list whose order means nothing.
type items struct {
	order []string // ids
	byID  map[string]listItem
}

type listItem struct {
	id    *object // the fields that tell it apart
	value any
}

func (l items) get(id string) any {
	if it, ok := l.byID[id]; ok {
		return it.value
	}
	return absent
}

// itemID returns what tells an item apart; false if it cannot be told apart.
type itemID func(item any) (*object, bool)

// scalarID tells the items of a set apart by their values.
func scalarID(item any) (*object, bool) {
	switch item.(type) {
	case *object, []any:
		return nil, false
	}
	id := newObject()
	id.set("", item)
	return id, true
}

// keyedID tells the items of a keyed list apart by the keys of its field.
func keyedID(field schema.Field) itemID {
	return func(item any) (*object, bool) {
		o, ok := item.(*object)
		if !ok {
			return nil, false
		}
		for _, name := range field.Required {
			if _, ok := o.get(name).(string); !ok {
				return nil, false
			}
		}
		id := newObject()
		for _, name := range field.Keys {
			id.set(name, o.get(name))
		}
		return id, len(id.names) > 0
	}
}

// lists returns the values as lists of items; false if one is no such list.
func (m *merger) lists(base, first, second any, id itemID) (b, f, s items, ok bool) {
	b, ok = itemsOf(base, id)
	if !ok {
		b = items{} // whatever it was, it says nothing about items
	}
	f, fok := itemsOf(first, id)
	s, sok := itemsOf(second, id)
	return b, f, s, fok && sok
}

func itemsOf(v any, id itemID) (items, bool) {
	out := items{byID: make(map[string]listItem)}
	if v == absent {
		return out, true
	}
	list, ok := v.([]any)
	if !ok {
		return items{}, false
	}
	for _, item := range list {
		fields, ok := id(item)
		if !ok {
			return items{}, false
		}
		key := render(fields)
		if _, twice := out.byID[key]; twice {
			return items{}, false
		}
		out.order = append(out.order, key)
		out.byID[key] = listItem{id: fields, value: item}
	}
	return out, true
}

// items merges a list item by item. Items of the base keep its order; new ones
// follow, sorted, so that both sides get the same list.
func (m *merger) items(p path, base, first, second items, unit bool) []any {
	var added []string
	for _, side := range []items{first, second} {
		for _, id := range side.order {
			if _, ok := base.byID[id]; !ok {
				added = append(added, id)
			}
		}
	}
	slices.Sort(added)
	merged := []any{}
	for _, id := range slices.Concat(base.order, slices.Compact(added)) {
		v := m.item(p, id, base, first, second, unit)
		if v != absent {
			merged = append(merged, v)
		}
	}
	return merged
}

func (m *merger) item(p path, id string, base, first, second items, unit bool) any {
	b, f, s := base.get(id), first.get(id), second.get(id)
	switch {
	case equal(f, s), equal(s, b):
		return f
	case equal(f, b):
		return s
	}
	it, ok := first.byID[id]
	if !ok {
		it = second.byID[id]
	}
	p = p.item(it.id)
	if unit || f == absent || s == absent { // an item that is gone on one side is gone or stays whole
		return m.conflict(p, b, f, s)
	}
	return m.value(p, b, f, s)
}

// keep returns a merged list, or absent if it is empty and a side had none.
func keep(list []any, first, second any) any {
	if len(list) == 0 && (first == absent || second == absent) {
		return absent
	}
	return list
}
