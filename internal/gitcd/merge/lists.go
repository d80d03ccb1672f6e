// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// items are the items of a list that can be told apart.
type items struct {
	list  any      // what it is the items of
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
	case *object, []any, nil:
		return nil, false
	}
	id := newObject()
	id.set("", item)
	return id, true
}

// keyedID tells the items of a keyed list apart by the keys of its field. A key
// that an item does not spell out has its default, if there is one.
func keyedID(field schema.Field) itemID {
	defaults := make(map[string]any, len(field.Defaults))
	for name, text := range field.Defaults {
		if v, err := parse([]byte(text)); err == nil {
			defaults[name] = v
		}
	}
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
			key := o.get(name)
			if def, ok := defaults[name]; ok && key == absent {
				key = def
			}
			switch key.(type) {
			case missing, string, json.Number, bool:
				id.set(name, key)
			default:
				return nil, false
			}
		}
		return id, len(id.names) > 0
	}
}

// lists returns the values as lists of items; false if one is no such list.
func (m *merger) lists(base, first, second any, id itemID) (b, f, s items, ok bool) {
	if base == nil {
		base = absent // null
	}
	b, bok := itemsOf(base, id)
	f, fok := itemsOf(first, id)
	s, sok := itemsOf(second, id)
	return b, f, s, bok && fok && sok
}

func itemsOf(v any, id itemID) (items, bool) {
	out := items{list: v, byID: make(map[string]listItem)}
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

// items merges a list item by item.
func (m *merger) items(p path, field schema.Field, base, first, second items) []any {
	merged := []any{}
	for _, id := range m.order(p, field, base, first, second) {
		v := m.item(p, id, base, first, second, field.Unit)
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
