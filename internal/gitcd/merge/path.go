// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// element is one step on the way to a field: a name, or an item of a list,
// which is known by some of its fields or, in a set, by its value.
type element struct {
	name string
	item *object // the fields that tell the item apart; nil for a name
}

// path is where a field is in its object.
type path []element

// field returns the path of a field below.
func (p path) field(name string) path {
	return append(slices.Clip(p), element{name: name})
}

// item returns the path of an item below.
func (p path) item(id *object) path {
	return append(slices.Clip(p), element{item: id})
}

// schema returns the path as schemas know it.
func (p path) schema() schema.Path {
	out := make(schema.Path, len(p))
	for i, e := range p {
		out[i] = e.name
		if e.item != nil {
			out[i] = schema.Item
		}
	}
	return out
}

// is says whether the path has just these names.
func (p path) is(names ...string) bool {
	return slices.EqualFunc(p, names, func(e element, name string) bool { return e.item == nil && e.name == name })
}

// String writes the path as people do: .status.conditions[type="Ready"].
func (p path) String() string {
	var out strings.Builder
	for _, e := range p {
		switch {
		case e.item != nil:
			out.WriteByte('[')
			for i, name := range e.item.names {
				if i > 0 {
					out.WriteByte(',')
				}
				out.WriteString(name)
				out.WriteByte('=')
				out.WriteString(render(e.item.fields[name]))
			}
			out.WriteByte(']')
		case plainName(e.name):
			out.WriteByte('.')
			out.WriteString(e.name)
		default:
			out.WriteByte('[')
			out.WriteString(render(e.name))
			out.WriteByte(']')
		}
	}
	return out.String()
}

func plainName(name string) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != ""
}

// render writes a value for people and for records; nothing for a field that is not there.
func render(v any) string { return string(raw(v)) }

// raw returns a value as JSON; nil for a field that is not there.
func raw(v any) json.RawMessage {
	if v == absent {
		return nil
	}
	out, err := encode(nil, v)
	if err != nil { // only strings and booleans go through encoding/json, which takes them all
		return nil
	}
	return out
}
