// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// path leads to a field: names of fields, and what items of lists are called by.
type path []string

// String writes a path as patterns are written.
func (p path) String() string {
	var out strings.Builder
	for _, part := range p {
		if part == "" || strings.ContainsAny(part, ".[]/!*") {
			fmt.Fprintf(&out, "[%s]", part)
		} else {
			out.WriteString("." + part)
		}
	}
	return out.String()
}

// parseField reads a pattern of fields. Both ".a" and "[a]" are one part.
func parseField(text string) (path, error) {
	var out path
	rest := text
	for rest != "" {
		var part string
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			part, rest = rest[1:1+end], rest[1+end:]
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("%q has a bracket that is not closed", text)
			}
			part, rest = rest[1:end], rest[end+1:]
		default:
			return nil, fmt.Errorf("%q is not a field; write it as .status.conditions[Ready]", text)
		}
		if part == "" {
			return nil, fmt.Errorf("%q has an empty part; write it as .status.conditions[Ready]", text)
		}
		out = append(out, part)
	}
	if out == nil {
		return nil, fmt.Errorf("%q is not a field; write it as .status.conditions[Ready]", text)
	}
	return out, nil
}

// covers says whether a pattern is for a field, or for what it is part of.
func (p path) covers(field path) bool { return len(p) <= len(field) && p.prefixOf(field) }

func (p path) prefixOf(field path) bool {
	for i, part := range p {
		if !glob(part, field[i]) {
			return false
		}
	}
	return true
}

// fields is a compiled list of patterns.
type fields struct{ in, out []path }

func compileFields(patterns []string) fields {
	var f fields
	for _, text := range patterns {
		inner, except := strings.CutPrefix(text, "!")
		p, err := parseField(inner)
		switch {
		case err != nil: // Validate says so; what is not understood covers nothing
			f.in = append(f.in, path{"\x00"})
		case except:
			f.out = append(f.out, p)
		default:
			f.in = append(f.in, p)
		}
	}
	return f
}

// cover says whether the patterns are for a field; without any that take in, all fields are.
func (f fields) cover(field path) bool {
	hit := func(p path) bool { return p.covers(field) }
	return (len(f.in) == 0 || slices.ContainsFunc(f.in, hit)) && !slices.ContainsFunc(f.out, hit)
}

// differences returns the fields in which two values differ. Items of a list
// are told apart where all of them have a name of their own.
func differences(a, b any, at path, out []path) []path {
	if reflect.DeepEqual(a, b) {
		return out
	}
	x, xIsMap := asMap(a)
	y, yIsMap := asMap(b)
	if !xIsMap || !yIsMap {
		return append(out, slices.Clone(at))
	}
	before := len(out)
	for name, v := range x {
		w, there := y[name]
		if !there {
			w = nil
		}
		out = differences(v, w, append(at, name), out)
	}
	for name, w := range y {
		if _, there := x[name]; !there {
			out = differences(nil, w, append(at, name), out)
		}
	}
	if len(out) == before { // the same items in another order, or one side is there and empty
		out = append(out, slices.Clone(at))
	}
	return out
}

// asMap sees objects, what is absent, and lists with named items as maps.
func asMap(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case map[string]any:
		return v, true
	case []any:
		return named(v)
	default:
		return nil, false
	}
}

// naming lists what items of lists are called by, the first that all have.
var naming = []string{"type", "uid", "name"}

func named(items []any) (map[string]any, bool) {
	out := make(map[string]any, len(items))
	for _, by := range append(slices.Clone(naming), "") {
		clear(out)
		for _, item := range items {
			name, ok := nameOf(item, by)
			if !ok {
				break
			}
			out[name] = item
		}
		if len(out) == len(items) {
			return out, true
		}
	}
	return nil, false
}

// nameOf returns an item's name; by "" an item that is a text is its own name.
func nameOf(item any, by string) (string, bool) {
	if by == "" {
		s, ok := item.(string)
		return s, ok
	}
	o, ok := item.(map[string]any)
	if !ok {
		return "", false
	}
	s, ok := o[by].(string)
	return s, ok && s != ""
}
