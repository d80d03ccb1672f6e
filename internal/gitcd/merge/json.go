// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
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

// maxDepth is how deep a value may nest to be understood; kube-apiserver takes no deeper one.
const maxDepth = 1000

var errNotExact = errors.New("not exact")

// parse reads a JSON value. What would not come back the same, as a name that
// comes twice in an object, is an error: such a value is merged as a whole.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("parse value: invalid UTF-8: %w", errNotExact)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	p := parser{d: d, surrogates: bytes.Contains(data, []byte(`\ud`)) || bytes.Contains(data, []byte(`\uD`))}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("parse value: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parse value: more behind its end: %w", errNotExact)
	}
	return v, nil
}

type parser struct {
	d *json.Decoder
	// surrogates says that there may be half a surrogate pair, which a Go string cannot hold.
	surrogates bool
}

func (p *parser) value(depth int) (any, error) {
	token, err := p.d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("nested deeper than %d: %w", maxDepth, errNotExact)
		}
		if token == '{' {
			return p.object(depth + 1)
		}
		return p.list(depth + 1)
	case string:
		return token, p.checkText(token)
	default:
		return token, nil
	}
}

func (p *parser) checkText(s string) error {
	if p.surrogates && strings.ContainsRune(s, utf8.RuneError) {
		return fmt.Errorf("half a surrogate pair: %w", errNotExact)
	}
	return nil
}

func (p *parser) object(depth int) (any, error) {
	o := newObject()
	for p.d.More() {
		token, err := p.d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok || p.checkText(name) != nil {
			return nil, fmt.Errorf("field name %v: %w", token, errNotExact)
		}
		if _, ok := o.fields[name]; ok {
			return nil, fmt.Errorf("field %q comes twice: %w", name, errNotExact)
		}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		o.set(name, v)
	}
	_, err := p.d.Token()
	return o, err
}

func (p *parser) list(depth int) (any, error) {
	list := []any{}
	for p.d.More() {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.d.Token()
	return list, err
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
