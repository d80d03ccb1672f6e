// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// fit makes managedFields fit the merged object: the managers of a field that
// was in conflict are those of the side whose value stands, and a field that
// the merge took out has none.
func (m *merger) fit(merged, meta *object) {
	list, ok := meta.get("managedFields").([]any)
	if !ok {
		return
	}
	for _, c := range m.conflicts {
		if len(c.path) == 0 || c.path[0].name == "metadata" && len(c.path) > 1 && c.path[1].name == "managedFields" {
			continue
		}
		list = m.follow(list, fieldPath(c.path), c.took)
	}
	meta.set("managedFields", list)
	m.prune(merged, meta)
}

// follow gives the managers of a field what they have of it on the winner's side.
func (m *merger) follow(list []any, prefix fieldpath.Path, winner *party) []any {
	won, ok := itemsOf(at(winner.root, "metadata", "managedFields"), managerID)
	if !ok {
		return list
	}
	out := make([]any, 0, len(list)+1)
	for _, e := range list {
		id, isEntry := managerID(e)
		if !isEntry {
			return list
		}
		out = append(out, m.regraft(e, e, won.get(render(id)), prefix))
		delete(won.byID, render(id))
	}
	for _, id := range won.order { // entries of which the merge had left nothing
		if it, ok := won.byID[id]; ok {
			out = append(out, m.regraft(it.value, absent, it.value, prefix))
		}
	}
	out = slices.DeleteFunc(out, func(e any) bool { return e == absent })
	sortEntries(out)
	return out
}

// regraft returns an entry with its own fields but those below a path, and
// with another's fields below it; absent if these are none.
func (m *merger) regraft(entry, own, other any, prefix fieldpath.Path) any {
	if text(entry, "apiVersion") != m.typ.APIVersion {
		return own // its paths are those of another version
	}
	mine, err := fieldSet(own)
	if err != nil {
		return own
	}
	yours, err := fieldSet(other)
	if err != nil {
		return own
	}
	set := mine.Difference(fieldsBelow(mine, prefix)).Union(fieldsBelow(yours, prefix))
	switch {
	case set.Equals(mine):
		return own
	case set.Empty():
		return absent
	}
	out, err := withFields(entry, set)
	if err != nil {
		return own
	}
	return out
}

// fieldsBelow returns the members of a set at a path and below it.
func fieldsBelow(set *fieldpath.Set, prefix fieldpath.Path) *fieldpath.Set {
	out := fieldpath.NewSet()
	for p := range set.All() {
		if len(p) >= len(prefix) && p[:len(prefix)].Equals(prefix) {
			out.Insert(p.Copy())
		}
	}
	return out
}

// scalar returns a string, number or boolean as managedFields compares it.
func scalar(v any) value.Value {
	n, ok := v.(json.Number)
	if !ok {
		return value.NewValueInterface(v)
	}
	if i, err := n.Int64(); err == nil {
		return value.NewValueInterface(i)
	}
	f, err := n.Float64()
	if err != nil { // beyond all counting; a number all the same
		return value.NewValueInterface(n.String())
	}
	return value.NewValueInterface(f)
}

// fieldPath returns a path in the notation of managedFields.
func fieldPath(p path) fieldpath.Path {
	out := make(fieldpath.Path, 0, len(p))
	for _, e := range p {
		if e.item == nil {
			out = append(out, fieldpath.PathElement{FieldName: &e.name})
			continue
		}
		if v := e.item.get(""); v != absent { // of a set
			member := scalar(v)
			out = append(out, fieldpath.PathElement{Value: &member})
			continue
		}
		keys := make(value.FieldList, 0, len(e.item.names))
		for _, name := range e.item.names {
			keys = append(keys, value.Field{Name: name, Value: scalar(e.item.fields[name])})
		}
		keys.Sort()
		out = append(out, fieldpath.PathElement{Key: &keys})
	}
	return out
}

// prune takes fields out of managedFields that a side had and the merged object has not.
func (m *merger) prune(merged, meta *object) {
	list, ok := meta.get("managedFields").([]any)
	if !ok {
		return
	}
	kept := []any{}
	for _, e := range list {
		entry, ok := e.(*object)
		fields, isFields := at(e, "fieldsV1").(*object)
		if ok && isFields && text(e, "apiVersion") == m.typ.APIVersion {
			left := pruned(fields, merged, m.first.root, m.second.root)
			if len(left.names) == 0 && len(fields.names) > 0 {
				continue
			}
			entry = entry.without()
			entry.set("fieldsV1", left)
			e = entry
		}
		kept = append(kept, e)
	}
	meta.set("managedFields", keep(kept, absent, absent))
}

// pruned returns the fields less those that are in a side but not in the merged value.
func pruned(fields *object, merged, first, second any) *object {
	out := newObject()
	for _, name := range fields.names {
		child, ok := fields.fields[name].(*object)
		v, f, s := part(merged, name), part(first, name), part(second, name)
		if ok && v == absent && (f != absent || s != absent) {
			continue
		}
		if !ok || len(child.names) == 0 {
			out.set(name, fields.fields[name])
			continue
		}
		if child = pruned(child, v, f, s); len(child.names) > 0 {
			out.set(name, child)
		}
	}
	return out
}

// part returns what an element in the notation of managedFields names in a value.
func part(v any, name string) any {
	kind, id, _ := strings.Cut(name, ":")
	switch kind {
	case "":
		return v
	case ".":
		return v
	case "f":
		return at(v, id)
	}
	key, err := parse([]byte(id))
	list, ok := v.([]any)
	if err != nil || !ok {
		return absent
	}
	for i, item := range list {
		switch {
		case kind == "v" && equal(item, key),
			kind == "i" && key == json.Number(fmt.Sprint(i)),
			kind == "k" && fits(item, key):
			return item
		}
	}
	return absent
}

// fits says whether an item of a list has the keys' values. A key that it does
// not spell out was defaulted.
func fits(item, key any) bool {
	want, ok := key.(*object)
	if !ok {
		return false
	}
	for _, name := range want.names {
		if have := at(item, name); have != absent && !equal(have, want.fields[name]) {
			return false
		}
	}
	return true
}
