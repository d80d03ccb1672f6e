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
	// Set is a list of different scalars in no order that matters.
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
	// Keys are the fields that tell the items of a KeyedList apart.
	Keys []string
	// Required are fields that each item of a KeyedList has, as strings: a list
	// with an item that lacks one only shares the name, and is one value.
	Required []string
	// Unit says that an item of a KeyedList is one value: its fields are one
	// statement and never come from two sides.
	Unit bool
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
