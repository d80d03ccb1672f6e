// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"cmp"
	"encoding/json"
	"strconv"
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
	if c := m.owned(p); c != 0 {
		return m.greater(c), Owner
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
	owner := m.policy.Owner(m.key, p.String())
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
