// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Value is one side of a conflict.
type Value struct {
	// Blob holds the whole value of the key; zero if the key is not there.
	Blob gitobj.ID
	// JSON is the value of the field. It is nil if the field is not there, if the
	// conflict is about the value as a whole, and if the value is Hidden.
	JSON json.RawMessage
	// Hidden says that there is a value of the field, which may be a secret.
	Hidden bool
}

// Side names a side of a merge.
type Side string

// The sides.
const (
	Ours   Side = "ours"
	Theirs Side = "theirs"
)

// Conflict is a decision by which something that a side said is not in the result.
type Conflict struct {
	Key string
	// Path is where in the object, as .status.conditions[type="Ready"]; empty for the value as a whole.
	Path               string
	Base, Ours, Theirs Value
	// Took is the side whose word stands, Branch the name of its branch.
	Took   Side
	Branch string
	Why    Rule
}

// secretKey says whether a key is one whose values are never shown.
func secretKey(key string) bool { return strings.HasPrefix(key, "/registry/secrets/") }

// record keeps a conflict.
func (m *merger) record(c conflict) { m.conflicts = append(m.conflicts, c) }

// recordKey keeps a conflict about the key as a whole.
func (m *merger) recordKey(winner *party, why Rule) {
	m.record(conflict{base: absent, first: absent, second: absent, took: winner, why: why})
}

// expose turns a conflict into what the caller sees.
func (m *merger) expose(c conflict, secret bool) Conflict {
	value := func(p *party, v any) Value {
		if secret {
			return Value{Blob: p.id(), Hidden: v != absent}
		}
		return Value{Blob: p.id(), JSON: raw(v)}
	}
	out := Conflict{
		Key: m.key, Path: c.path.String(), Why: c.why, Took: c.took.side, Branch: c.took.branch,
		Base: value(&m.base, c.base), Ours: value(&m.first, c.first), Theirs: value(&m.second, c.second),
	}
	if m.first.side == Theirs {
		out.Ours, out.Theirs = out.Theirs, out.Ours
	}
	return out
}
