// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"fmt"
	"slices"
	"strings"
)

// parsePath reads a path as path.String writes it.
func parsePath(text string) (path, error) {
	p := path{}
	for rest := text; rest != ""; {
		var e element
		var err error
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			e.name, rest = rest[1:end], rest[end:]
			if !plainName(e.name) {
				return nil, fmt.Errorf("parse path %q: %q is no name", text, e.name)
			}
		case '[':
			e, rest, err = parseBracket(rest[1:])
		default:
			err = fmt.Errorf("%q begins with neither . nor [", rest)
		}
		if err != nil {
			return nil, fmt.Errorf("parse path %q: %w", text, err)
		}
		p = append(p, e)
	}
	return p, nil
}

// parseBracket reads what follows a bracket: a quoted name, or the fields that
// tell an item apart.
func parseBracket(text string) (e element, rest string, err error) {
	end := closing(text)
	if end < 0 {
		return e, "", fmt.Errorf("[%s is not closed", text)
	}
	inner, rest := text[:end], text[end+1:]
	if strings.HasPrefix(inner, `"`) {
		name, err := parse([]byte(inner))
		s, ok := name.(string)
		if err != nil || !ok {
			return e, "", fmt.Errorf("[%s] is no name", inner)
		}
		return element{name: s}, rest, nil
	}
	e.item = newObject()
	for inner != "" {
		name, after, ok := strings.Cut(inner, "=")
		comma := closing(after + "]")
		if i := outside(after, ','); i >= 0 {
			comma = i
		}
		if !ok {
			return e, "", fmt.Errorf("[%s] has no value", inner)
		}
		v, err := parse([]byte(after[:comma]))
		if err != nil {
			return e, "", fmt.Errorf("[%s]: %w", inner, err)
		}
		e.item.set(name, v)
		inner = strings.TrimPrefix(after[comma:], ",")
	}
	return e, rest, nil
}

// closing returns where a bracket is closed, outside of strings; -1 if it is not.
func closing(text string) int { return outside(text, ']') }

// outside returns where a character comes outside of strings; -1 if it does not.
func outside(text string, c byte) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && text[i] == c:
			return i
		}
	}
	return -1
}

// look follows a path down to a value.
func look(v any, p path) any {
	for _, e := range p {
		if e.item == nil {
			v = at(v, e.name)
			continue
		}
		list, _ := v.([]any)
		i := indexOf(list, e.item)
		if i < 0 {
			return absent
		}
		v = list[i]
	}
	return v
}

// indexOf returns where in a list the item is that has these fields, or, in a set, this value.
func indexOf(list []any, id *object) int {
	return slices.IndexFunc(list, func(item any) bool {
		if v := id.get(""); v != absent {
			return equal(item, v)
		}
		for _, name := range id.names {
			if !equal(at(item, name), id.fields[name]) {
				return false
			}
		}
		return true
	})
}

// place returns a value with another at a path; absent takes it out. What is
// shared with other values stays as it was.
func place(v any, p path, x any) any {
	if len(p) == 0 {
		return x
	}
	if p[0].item != nil {
		return placeItem(v, p, x)
	}
	o, _ := v.(*object)
	child := place(o.get(p[0].name), p[1:], x)
	if child == absent && o.get(p[0].name) == absent {
		return v
	}
	out := o.without()
	out.set(p[0].name, child)
	if len(out.names) == 0 {
		return absent
	}
	return out
}

func placeItem(v any, p path, x any) any {
	list, _ := v.([]any)
	i := indexOf(list, p[0].item)
	switch {
	case i < 0 && x == absent:
		return v
	case i < 0:
		return append(slices.Clone(list), place(absent, p[1:], x))
	}
	child := place(list[i], p[1:], x)
	out := slices.Clone(list)
	if child != absent {
		out[i] = child
		return out
	}
	if out = slices.Delete(out, i, i+1); len(out) == 0 {
		return absent
	}
	return out
}
