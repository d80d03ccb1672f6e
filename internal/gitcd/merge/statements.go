// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"cmp"
	"slices"
)

// Statement is some fields of a kind that make sense together only. If both
// sides changed any of them, to different ends, all come from one side.
type Statement struct {
	Rule  Rule
	Kinds []string // Kind, or group/Kind; none for every kind that has a pod's spec
	// Fields are those whose change decides; Path writes them.
	Fields []string
	// Except are the names of fields in Fields that are merged on their own.
	Except []string
	// With are fields that go along with the winner's, whoever changed them.
	With []string
	// Rest are fields that go along too if both sides changed Fields, or, once
	// others have acted on it (seen), if both say something there.
	Rest    []string
	Because string

	// final says of a side that nothing may follow on what it says.
	final func(root *object) bool
	// newer compares the sides.
	newer func(first, second *object) int
	// seen says that the integrator's word stands, since others have acted on it, whenever it came.
	seen bool
}

// paths returns paths of a statement, below the place of the pod's spec if it is about that.
func (s Statement) paths(texts []string, top path) []path {
	out := make([]path, 0, len(texts))
	for _, text := range texts {
		p, err := parsePath(text)
		if err != nil {
			continue // a test reads them all
		}
		out = append(out, slices.Concat(top, p))
	}
	return out
}

// statements makes what is one statement come from one side: the fields were
// merged one by one before.
func (m *merger) statements(merged *object) *object {
	kind := kindOf(m.typ.Group(), m.typ.Kind)
	for _, s := range Statements {
		if len(s.Kinds) == 0 {
			if top := podSpec(kind); top != nil {
				merged = m.state(merged, s, top)
			}
			continue
		}
		if slices.Contains(s.Kinds, kind) {
			merged = m.state(merged, s, nil)
		}
	}
	return merged
}

// state makes one statement come from one side.
func (m *merger) state(merged *object, s Statement, top path) *object {
	fields := s.paths(s.Fields, top)
	differ := func(a, b *object) bool {
		return slices.ContainsFunc(fields, func(p path) bool {
			return !equal(s.less(look(a, p)), s.less(look(b, p)))
		})
	}
	if !differ(m.first.root, m.second.root) {
		return merged
	}
	winner, why := &m.first, s.Rule
	paths := s.paths(s.With, top)
	switch first, second := differ(m.first.root, m.base.root), differ(m.second.root, m.base.root); {
	case first && second:
		winner, why = m.stated(s, fields[0])
		paths = slices.Concat(fields, paths, s.paths(s.Rest, top))
	default:
		if second {
			winner = &m.second
		}
		if s.seen && look(m.first.root, fields[0]) != absent && look(m.second.root, fields[0]) != absent {
			paths = append(paths, s.paths(s.Rest, top)...)
		}
	}
	for _, p := range paths {
		settled := func(done path) bool { return below(p.String(), done.String()) }
		if !slices.ContainsFunc(m.settled, settled) {
			merged = m.impose(merged, p, s.Except, winner, why)
		}
	}
	m.settled = append(m.settled, paths...)
	return merged
}

// less returns a value less the fields that are merged on their own.
func (s Statement) less(v any) any { return less(v, s.Except) }

func less(v any, except []string) any {
	o, ok := v.(*object)
	if !ok || len(except) == 0 {
		return v
	}
	return o.without(except...)
}

// stated says whose statement stands if both sides made one.
func (m *merger) stated(s Statement, lead path) (*party, Rule) {
	if s.final != nil {
		if f, g := s.final(m.first.root), s.final(m.second.root); f != g {
			return m.greater(cmp.Compare(boolInt(f), boolInt(g))), s.Rule
		}
	}
	if winner, why := m.entitled(lead); winner != nil {
		return winner, why
	}
	if s.newer != nil {
		if c := s.newer(m.first.root, m.second.root); c != 0 {
			return m.greater(c), s.Rule
		}
	}
	if s.seen {
		return &m.first, s.Rule
	}
	return m.latest(lead)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// impose gives the merged object what the winner has at a path, but for the
// fields there that are excepted. What was recorded of the parts gives way to
// one record of the whole, if the other side changed it.
func (m *merger) impose(merged *object, p path, except []string, winner *party, why Rule) *object {
	name := p.String()
	m.conflicts = slices.DeleteFunc(m.conflicts, func(c conflict) bool {
		kept := slices.ContainsFunc(except, func(e string) bool { return below(c.path.String(), p.field(e).String()) })
		return below(c.path.String(), name) && !kept
	})
	base, first, second := look(m.base.root, p), look(m.first.root, p), look(m.second.root, p)
	stands, other := first, second
	if winner == &m.second {
		stands, other = second, first
	}
	if !equal(less(stands, except), less(other, except)) && !equal(less(other, except), less(base, except)) {
		m.record(conflict{path: p, base: base, first: first, second: second, took: winner, why: why})
	}
	have := look(merged, p)
	if equal(less(have, except), less(stands, except)) {
		return merged
	}
	for _, e := range except {
		stands = place(stands, path(nil).field(e), at(have, e))
	}
	out, ok := place(merged, p, stands).(*object)
	if !ok {
		return merged // a path that leads to the object itself: there is none in the table
	}
	return out
}

// kindOf writes a kind as the table does.
func kindOf(group, kind string) string {
	if group == "" {
		return kind
	}
	return group + "/" + kind
}

// podSpec returns where a kind has the spec of a pod; nil if it has none.
func podSpec(kind string) path {
	names := func(names ...string) path {
		var p path
		for _, name := range names {
			p = p.field(name)
		}
		return p
	}
	switch kind {
	case "Pod":
		return names("spec")
	case "apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet", "apps/DaemonSet", "batch/Job", "ReplicationController":
		return names("spec", "template", "spec")
	case "batch/CronJob":
		return names("spec", "jobTemplate", "spec", "template", "spec")
	case "PodTemplate":
		return names("template", "spec")
	default:
		return nil
	}
}
