// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// managedFields merges the entries that say who manages which fields. If they
// are not such entries, one side's stand.
func (m *merger) managedFields(p path, base, first, second any) any {
	switch {
	case equal(first, second), equal(second, base):
		return first
	case equal(first, base):
		return second
	}
	f, fok := itemsOf(first, managerID)
	s, sok := itemsOf(second, managerID)
	if !fok || !sok {
		return m.conflict(p, base, first, second)
	}
	b, ok := itemsOf(base, managerID)
	if !ok {
		b = items{}
	}
	ids := slices.Concat(f.order, s.order)
	slices.Sort(ids)
	merged := []any{}
	for _, id := range slices.Compact(ids) {
		e, err := mergeEntry(b.get(id), f.get(id), s.get(id))
		if err != nil { // fields in a format that is not ours to know
			e = later(f.get(id), s.get(id))
		}
		if e != absent {
			merged = append(merged, e)
		}
	}
	sortEntries(merged)
	return keep(merged, first, second)
}

// sortEntries brings entries into the order of an API server.
func sortEntries(entries []any) {
	slices.SortStableFunc(entries, func(a, b any) int {
		return cmp.Or(
			strings.Compare(text(a, "operation"), text(b, "operation")),
			timeAt(a, "time").Compare(timeAt(b, "time")),
			strings.Compare(text(a, "manager"), text(b, "manager")))
	})
}

// managerID tells entries apart as an API server does: for server-side apply,
// a manager has one entry whatever the version it applied in.
func managerID(entry any) (*object, bool) {
	id := newObject()
	if text(entry, "manager") == "" || text(entry, "operation") == "" {
		return nil, false
	}
	for _, name := range []string{"operation", "manager", "apiVersion", "subresource", "fieldsType"} {
		if name != "apiVersion" || text(entry, "operation") != "Apply" {
			id.set(name, at(entry, name))
		}
	}
	return id, true
}

// mergeEntry merges one manager's entry; absent is an entry without fields.
func mergeEntry(base, first, second any) (any, error) {
	switch {
	case equal(first, second), equal(second, base):
		return first, nil
	case equal(first, base):
		return second, nil
	}
	b, err := fieldSet(base)
	if err != nil {
		return nil, err
	}
	f, err := fieldSet(first)
	if err != nil {
		return nil, err
	}
	s, err := fieldSet(second)
	if err != nil {
		return nil, err
	}
	set := f.Intersection(s).Union(f.Difference(b)).Union(s.Difference(b))
	if set.Empty() {
		return absent, nil
	}
	return withFields(later(first, second), set)
}

// withFields returns an entry with other fields.
func withFields(entry any, set *fieldpath.Set) (any, error) {
	data, err := set.ToJSON()
	if err != nil {
		return nil, fmt.Errorf("write fields: %w", err)
	}
	fields, err := parse(data)
	if err != nil {
		return nil, err
	}
	was, _ := entry.(*object) // callers have read its fields
	out := was.without()
	out.set("fieldsV1", fields)
	return out, nil
}

// fieldSet reads the fields of an entry; an entry that is not there has none.
func fieldSet(entry any) (*fieldpath.Set, error) {
	set := fieldpath.NewSet()
	fields := at(entry, "fieldsV1")
	if fields == absent {
		return set, nil
	}
	if err := set.FromJSON(bytes.NewReader(raw(fields))); err != nil {
		return nil, fmt.Errorf("read fields: %w", err)
	}
	return set, nil
}

// later returns the entry with the later time, the first if both have the same.
func later(first, second any) any {
	if first == absent || timeAt(second, "time").After(timeAt(first, "time")) {
		return second
	}
	return first
}

// managedAt returns when the managers of a field last changed it on a side;
// zero if that is not known. The empty path is the object as a whole.
func (m *merger) managedAt(side *party, p path) time.Time {
	before := map[string]any{}
	for _, e := range entries(m.base.root) {
		if id, ok := managerID(e); ok {
			before[render(id)] = e
		}
	}
	var last time.Time
	for _, e := range entries(side.root) {
		was := absent
		if id, ok := managerID(e); ok {
			if b, ok := before[render(id)]; ok {
				was = b
			}
		}
		if equal(was, e) || !manages(at(e, "fieldsV1"), p) && !manages(at(was, "fieldsV1"), p) {
			continue
		}
		if t := timeAt(e, "time"); t.After(last) {
			last = t
		}
	}
	return last
}

func entries(root *object) []any {
	list, _ := at(root, "metadata", "managedFields").([]any)
	return list
}

// manages says whether fields, in the notation of managedFields, include a
// path, something below it, or the value that it is part of.
func manages(fields any, p path) bool {
	for i, e := range p {
		o, ok := fields.(*object)
		if !ok {
			return false
		}
		if i > 0 && len(o.names) == 0 {
			return true // one value from here on
		}
		if fields = step(o, e); fields == absent {
			return false
		}
	}
	return fields != absent
}

// step follows one element of a path.
func step(fields *object, e element) any {
	if e.item == nil {
		return fields.get("f:" + e.name)
	}
	for _, name := range fields.names {
		switch kind, id, _ := strings.Cut(name, ":"); kind {
		case "k":
			if v, err := parse([]byte(id)); err == nil && equal(v, e.item) {
				return fields.get(name)
			}
		case "v":
			if v, err := parse([]byte(id)); err == nil && equal(v, e.item.get("")) {
				return fields.get(name)
			}
		}
	}
	return absent
}
