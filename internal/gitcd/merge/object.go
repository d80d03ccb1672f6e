// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"bytes"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// Result is what becomes of a key.
type Result struct {
	// Value is the key's value, nil if it is deleted. It has exactly the bytes
	// of a side if it means the same as that side.
	Value   []byte
	Deleted bool
	// Took is the side that the result equals, empty if it equals neither.
	Took Side
	// Rule is the rule by which the key as a whole was decided.
	Rule      Rule
	Conflicts []Conflict
}

// Object merges the values of one key; nil means that the key is not there. It
// is a pure function, and with the sides and their names swapped its result is
// the same.
func Object(key string, base, ours, theirs []byte, p Policy) Result {
	return mergeObject(key, input{data: base}, input{data: ours}, input{data: theirs}, p)
}

// input is a value of a key, with the blob that holds it if that is known.
type input struct {
	data []byte // nil if the key is not there
	blob gitobj.ID
}

// id returns the id of the blob that holds the value.
func (in input) id() gitobj.ID {
	if in.data == nil || !in.blob.IsZero() {
		return in.blob
	}
	return gitobj.Hash(gitobj.KindBlob, layout.Blob(in.data))
}

func (in input) equal(other input) bool {
	return (in.data == nil) == (other.data == nil) && bytes.Equal(in.data, other.data)
}

// party is a side of a merge in an order that does not depend on who merges:
// all decisions are taken between the first and the second, never between ours and theirs.
type party struct {
	input
	side   Side
	branch string
	root   *object // the Kubernetes object; nil if there is none, or it cannot be understood
}

// merger merges one key.
type merger struct {
	key    string
	policy Policy
	typ    schema.Type
	base   party
	first  party
	second party

	conflicts []conflict
	settled   []path // what statements have given to a side
}

// conflict is a Conflict between the first and the second party.
type conflict struct {
	path          path
	base          any
	first, second any
	took          *party
	why           Rule
}

// verdict is what a rule for the key as a whole says.
type verdict struct {
	rule  Rule
	party *party  // the result is as this party has it, or
	value *object // it is this object, or, with neither, nothing
}

func mergeObject(key string, base, ours, theirs input, p Policy) Result {
	p = p.withDefaults()
	m := &merger{
		key: key, policy: p,
		base:   party{input: base},
		first:  party{input: ours, side: Ours, branch: p.Ours},
		second: party{input: theirs, side: Theirs, branch: p.Theirs},
	}
	if order := p.order(p.Ours, p.Theirs); order > 0 || order == 0 && bytes.Compare(ours.data, theirs.data) > 0 {
		m.first, m.second = m.second, m.first
	}
	return m.result(m.decideKey())
}

// decideKey tries the rules for the key as a whole in the order of Table.
func (m *merger) decideKey() verdict {
	switch {
	case m.first.equal(m.second.input):
		return verdict{rule: Same, party: &m.first}
	case m.first.equal(m.base.input):
		return verdict{rule: OneSide, party: &m.second}
	case m.second.equal(m.base.input):
		return verdict{rule: OneSide, party: &m.first}
	}
	for _, p := range []*party{&m.base, &m.first, &m.second} {
		p.root = parseObject(p.data)
	}
	opaque := func(p *party) bool { return p.data != nil && p.root == nil }
	gone := m.first.data == nil || m.second.data == nil
	if opaque(&m.first) || opaque(&m.second) || gone && opaque(&m.base) {
		return m.opaque()
	}
	switch {
	case m.first.data == nil:
		return m.deleted(&m.first, &m.second)
	case m.second.data == nil:
		return m.deleted(&m.second, &m.first)
	}
	m.typ = schema.Type{APIVersion: text(m.first.root, "apiVersion"), Kind: text(m.first.root, "kind")}
	if v, ok := m.replaced(); ok {
		return v
	}
	if m.typ != (schema.Type{APIVersion: text(m.second.root, "apiVersion"), Kind: text(m.second.root, "kind")}) {
		winner, why := m.decide(nil, absent, absent)
		m.recordKey(winner, why)
		return verdict{rule: Versions, party: winner}
	}
	return m.updated()
}

// parseObject returns the Kubernetes object that a value holds, nil if it holds none.
func parseObject(data []byte) *object {
	if data == nil || len(data) > 0 && data[0] != '{' {
		return nil
	}
	v, err := parse(data)
	if err != nil {
		return nil // encrypted, protobuf or foreign: the opaque rule has it
	}
	o, ok := v.(*object)
	if !ok || text(o, "apiVersion") == "" || text(o, "kind") == "" {
		return nil
	}
	if _, ok := o.get("metadata").(*object); !ok {
		return nil
	}
	return o
}

// opaque decides about values that cannot be read.
func (m *merger) opaque() verdict {
	winner, why := m.decide(nil, absent, absent)
	switch {
	case why == Owner:
	case m.first.data == nil:
		winner, why = &m.first, Opaque
	case m.second.data == nil:
		winner, why = &m.second, Opaque
	case why != Preferred:
		why = Opaque
	}
	m.recordKey(winner, why)
	return verdict{rule: Opaque, party: winner}
}

func uid(root *object) string { return text(root, "metadata", "uid") }

// deleted decides between a deletion and an update.
func (m *merger) deleted(gone, updated *party) verdict {
	if uid(updated.root) != uid(m.base.root) {
		return verdict{rule: Recreated, party: updated}
	}
	if kept := keepForFinalizer(m.base.root, updated.root); kept != nil {
		m.recordKey(updated, Finalized)
		return verdict{rule: Finalized, value: kept}
	}
	if !equal(sansDeletion(m.base.root), sansDeletion(updated.root)) {
		m.recordKey(gone, Deleted)
	}
	return verdict{rule: Deleted, party: gone}
}

// replaced decides between different objects of one name.
func (m *merger) replaced() (verdict, bool) {
	was, first, second := uid(m.base.root), uid(m.first.root), uid(m.second.root)
	if first == second {
		if was != first {
			m.base.root = nil // the base is another object's: it says nothing about this one
		}
		return verdict{}, false
	}
	if m.base.root != nil && was == first {
		m.recordKey(&m.second, Recreated)
		return verdict{rule: Recreated, party: &m.second}, true
	}
	if m.base.root != nil && was == second {
		m.recordKey(&m.first, Recreated)
		return verdict{rule: Recreated, party: &m.first}, true
	}
	winner := &m.first
	if older(m.second.root, m.first.root) {
		winner = &m.second
	}
	m.recordKey(winner, CreatedBoth)
	return verdict{rule: CreatedBoth, party: winner}, true
}

// older says whether an object was created before another. No object has the same uid.
func older(a, b *object) bool {
	x, y := timeAt(a, "metadata", "creationTimestamp"), timeAt(b, "metadata", "creationTimestamp")
	if !x.Equal(y) {
		return x.Before(y)
	}
	return uid(a) < uid(b)
}

// updated merges two updates of one object.
func (m *merger) updated() verdict {
	merged := m.root()
	if m.finished(merged) {
		m.finish()
		return verdict{rule: Finished}
	}
	return verdict{rule: Fields, value: merged}
}

// result turns a verdict into what the caller asked for.
func (m *merger) result(v verdict) Result {
	r := Result{Rule: v.rule}
	switch {
	case v.party != nil:
		r.Value = v.party.data
	case v.value != nil:
		r.Value = m.bytes(v.value)
	}
	r.Deleted = r.Value == nil
	for _, p := range []*party{&m.first, &m.second} {
		if p.equal(input{data: r.Value}) && r.Took != Ours {
			r.Took = p.side
		}
	}
	secret := secretKey(m.key)
	for _, p := range []*party{&m.base, &m.first, &m.second} {
		secret = secret || text(p.root, "kind") == "Secret"
	}
	for _, c := range m.conflicts {
		r.Conflicts = append(r.Conflicts, m.expose(c, secret))
	}
	slices.SortStableFunc(r.Conflicts, func(a, b Conflict) int { return strings.Compare(a.Path, b.Path) })
	return r
}

// bytes writes the merged object, or returns the bytes of a side that means the same.
func (m *merger) bytes(merged *object) []byte {
	var same []byte
	for _, p := range []*party{&m.first, &m.second} {
		if p.root != nil && equal(merged, p.root) && (same == nil || bytes.Compare(p.data, same) < 0) {
			same = p.data
		}
	}
	if same != nil {
		return same
	}
	out := raw(merged)
	for _, p := range []*party{&m.first, &m.second} {
		if p.data != nil && !bytes.HasSuffix(p.data, []byte("\n")) {
			return out
		}
	}
	return append(out, '\n')
}
