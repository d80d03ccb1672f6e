// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// torn says whether a merged value breaks limits that a side keeps to: then
// the sides do not mix.
func torn(l *schema.Limits, merged, first, second any) bool {
	return l != nil && breaks(l, merged) && (!breaks(l, first) || !breaks(l, second))
}

// breaks says whether a value is beyond its limits. A field that is not there has none.
func breaks(l *schema.Limits, v any) bool {
	switch v := v.(type) {
	case *object:
		return beyond(len(v.names), l.MinFields, l.MaxFields) ||
			slices.ContainsFunc(l.Required, func(name string) bool { return v.get(name) == absent }) ||
			slices.ContainsFunc(l.OneOf, func(names []string) bool { return several(v, names) })
	case []any:
		return beyond(len(v), l.MinItems, l.MaxItems) || l.Unique != "" && shared(v, l.Unique)
	default:
		return false
	}
}

func beyond(n, least, most int) bool { return n < least || most > 0 && n > most }

// shared says whether two items have the same text in a field.
func shared(list []any, name string) bool {
	seen := make(map[string]bool, len(list))
	for _, item := range list {
		s := text(item, name)
		if s != "" && seen[s] {
			return true
		}
		seen[s] = true
	}
	return false
}

// several says whether an object has more than one of some fields.
func several(o *object, names []string) bool {
	n := 0
	for _, name := range names {
		if o.get(name) != absent {
			n++
		}
	}
	return n > 1
}
