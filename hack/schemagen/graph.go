// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// node is a type: an object with named fields, or with fields of any name.
type node struct {
	name   string
	fields []field
	oneOf  [][]string
	says   bool // something about it, or below it, is worth a line
	class  int  // types of one class are the same but for their names
}

type field struct {
	name    string // "*" for any other name
	meaning string // "" if the value's look says it all
	child   *node  // the type of the value or of its items; nil if that says nothing
	unique  string // the field that no two items of a list share
}

// graph has all types by their names.
type graph struct {
	published *schema.Schema
	nodes     map[string]*node
}

func newGraph() *graph { return &graph{nodes: make(map[string]*node)} }

// describe returns what a published type means, and its node if it has one.
func (g *graph) describe(ref schema.TypeRef, name string) (meaning string, n *node) {
	if ref.NamedType != nil {
		name = shorten(*ref.NamedType)
	}
	atom, ok := g.published.Resolve(ref)
	if !ok || atom.Scalar != nil { // untyped values too: they merge as they look
		return "", nil
	}
	switch {
	case atom.List != nil:
		return g.describeList(atom.List, name)
	case atom.Map == nil:
		return "", nil
	case atom.Map.ElementRelationship == schema.Atomic || discriminated(atom.Map) || slices.Contains(oneStatement, name):
		return "atomic", nil
	default:
		return "", g.node(atom.Map, name)
	}
}

func (g *graph) describeList(l *schema.List, name string) (string, *node) {
	if l.ElementRelationship != schema.Associative {
		return "", nil
	}
	if len(l.Keys) == 0 {
		return "set", nil
	}
	item, _ := g.published.Resolve(l.ElementType)
	keys := make([]string, 0, len(l.Keys))
	for _, key := range l.Keys {
		keys = append(keys, key+defaultOf(item.Map, key))
	}
	meaning, child := g.describe(l.ElementType, name)
	if meaning == "atomic" {
		return "units(" + strings.Join(keys, ",") + ")", nil
	}
	return "list(" + strings.Join(keys, ",") + ")", child
}

// defaultOf returns the default of a key, which an item need not spell out.
func defaultOf(item *schema.Map, key string) string {
	if item == nil {
		return ""
	}
	f, ok := item.FindField(key)
	if !ok || f.Default == nil || f.Default == "" || f.Default == 0 {
		return "" // that of a field that must be there
	}
	text, err := json.Marshal(f.Default)
	if err != nil {
		return ""
	}
	return "=" + string(text)
}

// discriminated says whether a field of the type says which of the others counts.
func discriminated(m *schema.Map) bool {
	return slices.ContainsFunc(m.Unions, func(u schema.Union) bool { return u.Discriminator != nil })
}

func (g *graph) node(m *schema.Map, name string) *node {
	if n, ok := g.nodes[name]; ok {
		return n
	}
	n := &node{name: name}
	g.nodes[name] = n
	_, isObject := m.FindField("apiVersion")
	for _, f := range m.Fields {
		if isObject && f.Name == "metadata" || f.Name == "conditions" {
			continue
		}
		meaning, child := g.describe(f.Type, name+"."+f.Name)
		n.fields = append(n.fields, field{name: f.Name, meaning: meaning, child: child})
	}
	if len(m.Fields) == 0 {
		meaning, child := g.describe(m.ElementType, name+".*")
		n.fields = append(n.fields, field{name: "*", meaning: meaning, child: child})
	}
	slices.SortFunc(n.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return n
}

// prune finds out what says something.
func (g *graph) prune() {
	for changed := true; changed; {
		changed = false
		for _, n := range g.nodes {
			says := len(n.oneOf) > 0 || slices.ContainsFunc(n.fields, field.says)
			changed = changed || says != n.says
			n.says = says
		}
	}
}

func (f field) says() bool { return f.meaning != "" || f.child != nil && f.child.says }

// lines writes a type less its name; children by their class.
func (n *node) lines(child func(*node) string) string {
	var out strings.Builder
	for _, names := range n.oneOf {
		fmt.Fprintf(&out, "\t! one-of(%s)\n", strings.Join(names, ","))
	}
	for _, f := range n.fields {
		if !f.says() {
			continue
		}
		fmt.Fprintf(&out, "\t%s %s", f.name, cmp.Or(f.meaning, "-"))
		if f.unique != "" {
			fmt.Fprintf(&out, " unique(%s)", f.unique)
		}
		if f.child != nil && f.child.says {
			out.WriteString(" " + child(f.child))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// classify gives types that are the same but for their names the same class.
func (g *graph) classify(names []string) {
	for last, count := 0, -1; count != last; {
		last = count
		classes := map[string]int{}
		next := make([]int, len(names))
		for i, name := range names {
			n := g.nodes[name]
			key := fmt.Sprint(n.class) + n.lines(func(c *node) string { return fmt.Sprint(c.class) })
			if _, ok := classes[key]; !ok {
				classes[key] = len(classes)
			}
			next[i] = classes[key]
		}
		for i, name := range names {
			g.nodes[name].class = next[i]
		}
		count = len(classes)
	}
}

// table writes all that is worth a line.
func (g *graph) table(kinds map[string]*node) string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(g.nodes)), func(name string) bool { return !g.nodes[name].says })
	g.classify(names)
	first := map[int]string{}
	for _, name := range names {
		if _, ok := first[g.nodes[name].class]; !ok {
			first[g.nodes[name].class] = name
		}
	}
	nameOf := func(n *node) string { return first[n.class] }
	var out strings.Builder
	fmt.Fprintf(&out, "# Code generated by hack/schemagen from %s %s. DO NOT EDIT.\n", source, version())
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if kinds[kind].says {
			fmt.Fprintf(&out, "%s %s\n", kind, nameOf(kinds[kind]))
		}
	}
	for _, name := range names {
		if n := g.nodes[name]; nameOf(n) == name {
			fmt.Fprintf(&out, "%s\n%s", name, n.lines(nameOf))
		}
	}
	return out.String()
}
