// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// fieldStep is one step of a record's path: a name, or the item of a list that has these fields.
type fieldStep struct {
	name string
	item map[string]any
}

// parseField reads a path as records have it: .status.conditions[type="Ready"].reason, .metadata.labels["a/b"].
func parseField(path string) ([]fieldStep, error) {
	var steps []fieldStep
	bad := fmt.Errorf("field %q is not understood; write it with kubectl edit, then resolve without --take-other", path)
	for rest := path; rest != ""; {
		if name, ok := strings.CutPrefix(rest, "."); ok {
			end := strings.IndexAny(name, ".[")
			if end < 0 {
				end = len(name)
			}
			if end == 0 {
				return nil, bad
			}
			steps, rest = append(steps, fieldStep{name: name[:end]}), name[end:]
			continue
		}
		inner, ok := strings.CutPrefix(rest, "[")
		if !ok {
			return nil, bad
		}
		step, after, err := parseBracket(inner)
		if err != nil {
			return nil, bad
		}
		steps, rest = append(steps, step), after
	}
	return steps, nil
}

// parseBracket reads "a/b"], a name, or type="Ready",port=80], an item.
func parseBracket(text string) (step fieldStep, rest string, err error) {
	value := func() (v any, err error) {
		in := json.NewDecoder(strings.NewReader(text))
		in.UseNumber()
		if err = in.Decode(&v); err == nil {
			text = text[in.InputOffset():]
		}
		return v, err
	}
	if strings.HasPrefix(text, `"`) {
		v, err := value()
		name, ok := v.(string)
		after, closed := strings.CutPrefix(text, "]")
		if err != nil || !ok || !closed {
			return step, "", fmt.Errorf("read name: %w", errNoPlace)
		}
		return fieldStep{name: name}, after, nil
	}
	step.item = map[string]any{}
	for {
		name, after, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return step, "", fmt.Errorf("read item: %w", errNoPlace)
		}
		text = after
		if step.item[name], err = value(); err != nil {
			return step, "", fmt.Errorf("read item: %w", err)
		}
		if after, ok := strings.CutPrefix(text, "]"); ok {
			return step, after, nil
		}
		if text, ok = strings.CutPrefix(text, ","); !ok {
			return step, "", fmt.Errorf("read item: %w", errNoPlace)
		}
	}
}

// parseObject reads an object, its numbers as they are written.
func parseObject(text []byte) (map[string]any, error) {
	var o map[string]any
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	if err := in.Decode(&o); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return o, nil
}

func dig(o any, names ...string) any {
	for _, n := range names {
		m, ok := o.(map[string]any)
		if !ok {
			return nil
		}
		o = m[n]
	}
	return o
}

// find returns where in a list the item of a step is, -1 if it is not there.
func (s fieldStep) find(list []any) int {
	for i, v := range list {
		item, ok := v.(map[string]any)
		for name, want := range s.item {
			ok = ok && reflect.DeepEqual(item[name], want)
		}
		if ok {
			return i
		}
	}
	return -1
}

// lookUp returns what is at a path.
func lookUp(v any, steps []fieldStep) (any, bool) {
	for _, s := range steps {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[s.name]
			if s.item != nil || !ok {
				return nil, false
			}
			v = next
		case []any:
			i := -1
			if s.item != nil {
				i = s.find(at)
			}
			if i < 0 {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// fieldOf returns the JSON of what an object has at a path.
func fieldOf(object []byte, path string) (text string, there bool, err error) {
	o, err := parseObject(object)
	if err != nil {
		return "", false, err
	}
	steps, err := parseField(path)
	if err != nil {
		return "", false, err
	}
	v, there := lookUp(o, steps)
	if !there {
		return "", false, nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return "", false, fmt.Errorf("read field: %w", err)
	}
	return string(out), true, nil
}

// put writes a value to a path, or removes what is there. The way to it must be there but for its end.
func put(object map[string]any, steps []fieldStep, value any, there bool) bool {
	last := len(steps) - 1
	parent, ok := lookUp(object, steps[:last])
	if !ok {
		return !there // what is to be removed is not there
	}
	s := steps[last]
	switch at := parent.(type) {
	case map[string]any:
		if s.item != nil {
			return false
		}
		if there {
			at[s.name] = value
		} else {
			delete(at, s.name)
		}
		return true
	case []any:
		i := s.find(at)
		switch {
		case s.item == nil:
			return false
		case i >= 0 && there:
			at[i] = value
			return true
		case i >= 0:
			at = append(at[:i:i], at[i+1:]...)
		case there:
			at = append(at, value)
		default:
			return true
		}
		return put(object, steps[:last], at, true) // the list has another length
	default:
		return false
	}
}
