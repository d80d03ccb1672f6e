// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A JSON value is nil, a bool, a json.Number (its exact text), a string, a
// []any, or an *object. absent stands for a field that is not there.
type missing struct{}

var absent any = missing{}

// object is a JSON object that remembers the order of its fields: an API
// server writes them in the order of its types, and so do we.
type object struct {
	names  []string
	fields map[string]any
}

func newObject() *object { return &object{fields: make(map[string]any)} }

// get returns a field, absent if it is not there. An object that is not there has no fields.
func (o *object) get(name string) any {
	if o == nil {
		return absent
	}
	if v, ok := o.fields[name]; ok {
		return v
	}
	return absent
}

// set gives a field a value; absent removes it.
func (o *object) set(name string, v any) {
	_, had := o.fields[name]
	switch {
	case v == absent && had:
		delete(o.fields, name)
		o.names = slices.DeleteFunc(o.names, func(n string) bool { return n == name })
	case v == absent:
	case had:
		o.fields[name] = v
	default:
		o.fields[name] = v
		o.names = append(o.names, name)
	}
}

// without returns the object less some fields.
func (o *object) without(names ...string) *object {
	out := newObject()
	if o == nil {
		return out
	}
	for _, name := range o.names {
		if !slices.Contains(names, name) {
			out.set(name, o.fields[name])
		}
	}
	return out
}

// at follows names down to a value.
func at(v any, names ...string) any {
	for _, name := range names {
		o, ok := v.(*object)
		if !ok {
			return absent
		}
		v = o.get(name)
	}
	return v
}

// text returns the string at names, "" if there is none.
func text(v any, names ...string) string {
	s, ok := at(v, names...).(string)
	if !ok {
		return ""
	}
	return s
}

// equal says whether two values mean the same: the order of fields does not matter, that of items does.
func equal(a, b any) bool {
	switch a := a.(type) {
	case *object:
		b, ok := b.(*object)
		if !ok || len(a.names) != len(b.names) {
			return false
		}
		for _, name := range a.names {
			if !equal(a.fields[name], b.get(name)) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	default:
		if _, ok := b.([]any); ok {
			return false
		}
		return a == b
	}
}

// encode writes a value as compact JSON, as kube-apiserver does.
func encode(out []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case *object:
		return encodeObject(out, v)
	case []any:
		return encodeList(out, v)
	case json.Number:
		return append(out, v...), nil
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode value: %w", err)
		}
		return append(out, b...), nil
	}
}

func encodeObject(out []byte, o *object) ([]byte, error) {
	var err error
	out = append(out, '{')
	for i, name := range o.names {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = encode(out, name); err != nil {
			return nil, err
		}
		out = append(out, ':')
		if out, err = encode(out, o.fields[name]); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func encodeList(out []byte, list []any) ([]byte, error) {
	var err error
	out = append(out, '[')
	for i, item := range list {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = encode(out, item); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}
