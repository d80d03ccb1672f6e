// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// conflict decides between two values, and records it.
func (m *merger) conflict(p path, base, first, second any) any {
	winner, why := m.decide(p, first, second)
	m.record(conflict{path: p, base: base, first: first, second: second, took: winner, why: why})
	if winner == &m.first {
		return first
	}
	return second
}

// decide says whose value stands, by the rules for a field, in the order of Table.
func (m *merger) decide(p path, first, second any) (*party, Rule) {
	if winner, why := m.entitled(p); winner != nil {
		return winner, why
	}
	if len(p) > 1 && p[len(p)-2].name == "conditions" && p[len(p)-1].item != nil {
		if c := newerCondition(first, second); c != 0 {
			return m.greater(c), NewerCondition
		}
	}
	if m.typ.Kind == "Lease" && p.is("spec") {
		if c := newerLease(first, second); c != 0 {
			return m.greater(c), NewerLease
		}
	}
	if c := furtherCount(p, first, second); c != 0 {
		return m.greater(c), Counter
	}
	return m.latest(p)
}

// entitled returns the side whose word counts at a path because the policy says so.
func (m *merger) entitled(p path) (*party, Rule) {
	if c := m.owned(p); c != 0 {
		return m.greater(c), Owner
	}
	if c := m.policy.Prefer(m.first.branch, m.second.branch, m.key, p.String()); c != 0 {
		return m.greater(c), Preferred
	}
	return nil, ""
}

// latest returns the side that changed a field last, as far as that is known.
func (m *merger) latest(p path) (*party, Rule) {
	if x, y := m.managedAt(&m.first, p), m.managedAt(&m.second, p); !x.IsZero() && !y.IsZero() && !x.Equal(y) {
		return m.greater(x.Compare(y)), NewerManager
	}
	return &m.first, BranchOrder
}

// greater returns the first party for a positive comparison of it with the second.
func (m *merger) greater(c int) *party {
	if c > 0 {
		return &m.first
	}
	return &m.second
}

// owned compares the parties by how near they are to the field's owner: it
// itself, then the integrator, which has what the owner handed in.
func (m *merger) owned(p path) int {
	owner := m.expand(m.policy.Owner(m.key, p.String()))
	if owner == "" {
		return 0
	}
	rank := func(branch string) int {
		switch branch {
		case owner:
			return 2
		case m.policy.Integrator:
			return 1
		default:
			return 0
		}
	}
	return rank(m.first.branch) - rank(m.second.branch)
}

// expand puts what an object says in the place of a path in braces. A name that
// the sides do not agree on is nobody's.
func (m *merger) expand(owner string) string {
	head, rest, ok := strings.Cut(owner, "{")
	if !ok {
		return owner
	}
	inner, tail, _ := strings.Cut(rest, "}")
	p, err := parsePath(inner)
	if err != nil || m.first.root == nil || m.second.root == nil {
		return ""
	}
	name, ok := look(m.first.root, p).(string)
	if !ok || name == "" || name != look(m.second.root, p) {
		return ""
	}
	return head + name + tail
}

// furtherCount compares two values of a field that only counts up, or that has
// such a count: the higher one is of the later moment.
func furtherCount(p path, first, second any) int {
	if len(p) == 0 || p[0].name != "status" {
		return 0
	}
	switch p[len(p)-1].name {
	case "observedGeneration", "restartCount", "collisionCount":
		return compareInt(first, second)
	}
	return cmp.Compare(restarts(first), restarts(second))
}

// restarts returns how often a container, or all of a list, were restarted.
func restarts(v any) (n int64) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		n += whole(at(item, "restartCount"))
	}
	return n
}

// newerCondition compares two conditions by the moment they speak of.
func newerCondition(first, second any) int {
	c := compareInt(at(first, "observedGeneration"), at(second, "observedGeneration"))
	for _, name := range []string{"lastTransitionTime", "lastUpdateTime", "lastProbeTime", "lastHeartbeatTime"} {
		c = cmp.Or(c, timeAt(first, name).Compare(timeAt(second, name)))
	}
	return c
}

// newerLease compares two specs of a lease.
func newerLease(first, second any) int {
	return cmp.Or(
		compareInt(at(first, "leaseTransitions"), at(second, "leaseTransitions")),
		timeAt(first, "renewTime").Compare(timeAt(second, "renewTime")))
}

// compareInt compares two whole numbers; one that is not there counts as none.
func compareInt(a, b any) int { return cmp.Compare(whole(a), whole(b)) }

func whole(v any) int64 {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return 0 // a fraction, or beyond all counting: it decides nothing
	}
	return i
}

// timeAt returns the time at names, zero if there is none.
func timeAt(v any, names ...string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text(v, names...))
	if err != nil {
		return time.Time{}
	}
	return t
}
