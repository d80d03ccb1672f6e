// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "strings"

// Shape is how the parts of a value belong together.
type Shape uint8

// The shapes.
const (
	// Unknown leaves it to the value: an object is a Map, all else is Atomic.
	Unknown Shape = iota
	// Atomic is one value, whatever it is made of.
	Atomic
	// Map is an object whose fields are merged one by one.
	Map
	// Set is a list of different scalars.
	Set
	// KeyedList is a list of objects that are known by some of their fields.
	KeyedList
)

// String returns the shape's name.
func (s Shape) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Atomic:
		return "atomic"
	case Map:
		return "map"
	case Set:
		return "set"
	case KeyedList:
		return "keyed list"
	default:
		return "invalid"
	}
}

// Field is what is known of a field.
type Field struct {
	Shape Shape
	// Keys are the fields that tell the items of a KeyedList apart. An item may
	// lack some of them, but not all.
	Keys []string
	// Defaults has what an item means, in JSON, that does not spell out a key.
	Defaults map[string]string
	// Required are fields that each item of a KeyedList has, as strings: a list
	// with an item that lacks one only shares the name, and is one value.
	Required []string
	// Unit says that an item of a KeyedList is one value: its fields are one
	// statement and never come from two sides.
	Unit bool
	// Ordered says that the order of a Set or KeyedList may mean something.
	Ordered bool
	// Limits are what the value as a whole keeps to; nil if nothing is known.
	Limits *Limits
}

// Limits are what a value keeps to on each side, and what a mix of the sides
// may break. A maximum of zero is none.
type Limits struct {
	Required             []string   // the fields that an object has
	OneOf                [][]string // of each of these lists of fields, an object has at most one
	MinFields, MaxFields int
	MinItems, MaxItems   int
	Unique               string // the field, besides the keys, that no two items of a list share
}

// Type is the type of an object, as the object says it.
type Type struct{ APIVersion, Kind string }

// Group returns the API group, "" for the core group.
func (t Type) Group() string {
	group, _, found := strings.Cut(t.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// Version returns the version within the group.
func (t Type) Version() string {
	_, version, found := strings.Cut(t.APIVersion, "/")
	if !found {
		return t.APIVersion
	}
	return version
}

// Item is the path element that stands for any item of a list.
const Item = "[]"

// Path is where a field is in its object: names of fields, and Item.
type Path []string

// Schema tells what the fields of objects are.
type Schema interface {
	// Lookup returns what is known of a field. It must be pure: equal questions
	// get equal answers, on every branch.
	Lookup(t Type, p Path) Field
}

// Layers are schemas of which the first that knows a field's shape tells it,
// and the first that knows its limits tells these.
type Layers []Schema

// Lookup implements Schema.
func (l Layers) Lookup(t Type, p Path) Field {
	var out Field
	for _, s := range l {
		f := s.Lookup(t, p)
		limits := out.Limits
		if out.Shape == Unknown {
			out = f
		}
		if limits == nil {
			limits = f.Limits
		}
		out.Limits = limits
	}
	return out
}
