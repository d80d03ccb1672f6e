// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"time"
)

// Count is how often a branch made use of a rate in one merge.
type Count struct {
	Branch, Gate, Rate string
	N                  int
	At                 time.Time
	per                time.Duration
}

type meterKey struct{ branch, gate, rate string }

// Meter remembers how often branches made use of their rates. It forgets over
// a restart: what a rate holds is then held still, by what is in quarantine.
// It is not safe for concurrent use.
type Meter struct{ counts map[meterKey][]Count }

// NewMeter returns a meter that has seen nothing.
func NewMeter() *Meter { return &Meter{counts: map[meterKey][]Count{}} }

// Count takes what a merge made use of.
func (m *Meter) Count(counts []Count) {
	for _, c := range counts {
		key := meterKey{c.Branch, c.Gate, c.Rate}
		m.counts[key] = append(m.since(key, c.At.Add(-c.per)), c)
	}
}

// Reset forgets what counted towards a rate: a person has looked.
func (m *Meter) Reset(branch, gate, rate string) { delete(m.counts, meterKey{branch, gate, rate}) }

// since drops what is older, and returns the rest.
func (m *Meter) since(key meterKey, t time.Time) []Count {
	m.counts[key] = slices.DeleteFunc(m.counts[key], func(c Count) bool { return !c.At.After(t) })
	return m.counts[key]
}

// rate holds what is beyond a rate, with all that would count towards it in this merge (law G6).
func (j *Judge) rate(g *Gate, r *Rate, a Asked, views []*view, name string, refused map[int]Refusal) []Count {
	var counting []int
	for i, v := range views {
		if _, out := refused[i]; !out && matchAny(r.Keys, v.Key, name) && r.counts(v) {
			counting = append(counting, i)
		}
	}
	if len(counting) == 0 {
		return nil
	}
	key := meterKey{a.Branch, g.Name, r.Name}
	before := 0
	for _, c := range j.meter.since(key, a.Now.Add(-time.Duration(r.Per))) {
		before += c.N
	}
	var reason string
	switch {
	case a.Waits != nil && a.Waits(g.Name, r.Name):
		reason = fmt.Sprintf("what went beyond rate %s waits for a person, and so does what follows (gate %s)", r.Name, g.Name)
	case before+len(counting) > r.Limit:
		reason = fmt.Sprintf("%d changes in %s are beyond rate %s, which is %d: they wait for a person (gate %s)", before+len(counting), time.Duration(r.Per), r.Name, r.Limit, g.Name)
	default:
		return []Count{{Branch: a.Branch, Gate: g.Name, Rate: r.Name, N: len(counting), At: a.Now, per: time.Duration(r.Per)}}
	}
	for _, i := range counting {
		refused[i] = Refusal{Change: views[i].Change, Verb: views[i].Verb(), Gate: g.Name, Kind: Held, Rate: r.Name, Reason: reason}
	}
	return nil
}

// counts says whether a change counts towards a rate.
func (r *Rate) counts(v *view) bool {
	verbs := r.Verbs
	if len(verbs) == 0 {
		verbs = []Verb{Delete}
	}
	return slices.ContainsFunc(verbs, func(verb Verb) bool {
		if verb == Delete {
			return v.deletes()
		}
		return v.Verb() == verb
	})
}
