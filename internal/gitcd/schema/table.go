// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	_ "embed" // for the table
	"strings"
	"sync"
)

// published is the table of the types of Kubernetes, as hack/schemagen writes it:
//
//	apps/v1 Deployment apps.v1.Deployment     a kind and its type
//	core.v1.PodSpec                           a type; its fields follow:
//		volumes list(name) core.v1.Volume     their names, meanings, and the types of the values or items
//		ports list(port) unique(name)         ... and what no two items share
//		! one-of(exec,httpGet)                what the type as a whole keeps to
//
// A meaning is "-" for the look of the value, atomic, set, list or units with
// the keys and their defaults. The name "*" stands for any other.
//
//go:embed kubernetes.txt
var published string

// table is what published says.
type table struct {
	kinds map[Type]*node
	types map[string]*node
}

// kubernetes returns the table. It is read when it is first asked for, in about
// 0.2 ms, and takes some 60 KiB: its names stay where published has them.
var kubernetes = sync.OnceValue(func() table { return readTable(published) })

// readTable reads a table. What it does not understand says nothing: a test
// compares the table with what was published.
func readTable(text string) table {
	t := table{kinds: make(map[Type]*node), types: make(map[string]*node)}
	var at *node
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		field, isField := strings.CutPrefix(line, "\t")
		words := strings.Split(field, " ")
		switch {
		case strings.HasPrefix(line, "#"):
		case isField && at != nil:
			t.addField(at, words)
		case len(words) == 3:
			t.kinds[Type{words[0], words[1]}] = t.typ(words[2])
		case len(words) == 1:
			at = t.typ(words[0])
		}
	}
	return t
}

// typ returns the node of a type, which may be defined further down.
func (t table) typ(name string) *node {
	n, ok := t.types[name]
	if !ok {
		n = &node{}
		t.types[name] = n
	}
	return n
}

var atomic = &node{Field: Field{Shape: Atomic}}

// addField adds the line of a field to a type.
func (t table) addField(n *node, words []string) {
	if len(words) < 2 {
		return
	}
	word, args := meaning(words[1])
	if words[0] == "!" {
		if n.Limits == nil {
			n.Limits = &Limits{}
		}
		n.Limits.OneOf = append(n.Limits.OneOf, args)
		return
	}
	var below *node
	var limits *Limits
	for _, more := range words[2:] {
		if word, args := meaning(more); word == "unique" && len(args) == 1 {
			limits = &Limits{Unique: args[0]}
		} else {
			below = t.typ(more)
		}
	}
	var value *node
	switch word {
	case "-":
		value = below
	case "atomic":
		value = atomic
	case "set":
		value = &node{Field: Field{Shape: Set, Ordered: true}}
	case "list", "units":
		value = &node{Field: keyed(args), item: below}
		value.Unit, value.Limits = word == "units", limits
	}
	if words[0] == "*" {
		n.other = value
		return
	}
	if n.names == nil {
		n.names = make(map[string]*node)
	}
	n.names[words[0]] = value
}

// meaning takes "word(arg,arg)" apart.
func meaning(s string) (word string, args []string) {
	word, rest, ok := strings.Cut(s, "(")
	if !ok {
		return word, nil
	}
	return word, strings.Split(strings.TrimSuffix(rest, ")"), ",")
}

// keyed returns the field of a list with these keys, which may have defaults.
func keyed(args []string) Field {
	f := Field{Shape: KeyedList, Ordered: true, Keys: make([]string, 0, len(args))}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		f.Keys = append(f.Keys, key)
		if !ok {
			continue
		}
		if f.Defaults == nil {
			f.Defaults = make(map[string]string)
		}
		f.Defaults[key] = value
	}
	return f
}
