// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Kind says why a change does not go on.
type Kind string

// The kinds.
const (
	// Outside is what no rule covers.
	Outside Kind = "Outside"
	// Held is beyond a rate, and waits for a person.
	Held Kind = "Held"
)

// Refusal is a change that does not go on.
type Refusal struct {
	Change Change
	Verb   Verb
	Gate   string
	Kind   Kind
	Rate   string // of what is held
	Reason string
}

// Verdict is what a gate says of the changes of one merge.
type Verdict struct {
	// Refusals are in the order of the changes.
	Refusals []Refusal
	// Counts is to be handed to Meter.Count once the merge is durable.
	Counts []Count
}

// Asked is what is to be judged.
type Asked struct {
	// Branch is who changes, and Main the tree that is changed.
	Branch string
	Main   gitobj.ID
	// Changes of a merge, in the order of their keys.
	Changes []Change
	Now     time.Time
	// Waits says whether a rate of the branch holds something already: then it holds all.
	Waits func(gate, rate string) bool
}

// Judge applies gates. It is not safe for concurrent use.
type Judge struct {
	set     Set
	r       Reader
	main    *Cluster
	meter   *Meter
	cached  map[cacheKey]asked
	fields  map[*Rule]fields
	rbacAge int
}

type cacheKey struct {
	rule *Rule
	name string
	// accounts are those of the node's pods.
	accounts string
}

// NewJudge returns a judge by gates over what a reader has.
func NewJudge(set Set, r Reader, meter *Meter) *Judge {
	j := &Judge{set: set, r: r, main: NewCluster(r), meter: meter, cached: map[cacheKey]asked{}, fields: map[*Rule]fields{}}
	for i := range set {
		for k := range set[i].Rules {
			j.fields[&set[i].Rules[k]] = compileFields(set[i].Rules[k].Fields)
		}
	}
	return j
}

// Open says whether a branch may do everything: there is nothing to judge.
func (j *Judge) Open(branch string) bool {
	g, _, ok := j.set.For(branch)
	return !ok || g.Open()
}

// Judge says which changes do not go on.
func (j *Judge) Judge(ctx context.Context, a Asked) (Verdict, error) {
	g, name, ok := j.set.For(a.Branch)
	if !ok || g.Open() {
		return Verdict{}, nil
	}
	views := make([]*view, len(a.Changes))
	refused := make(map[int]Refusal)
	for i, c := range a.Changes {
		views[i] = &view{Change: c, r: j.r, name: name, main: j.main}
		if len(g.Rules) == 0 {
			continue
		}
		reason, err := j.outside(ctx, g, a, views[i])
		if err != nil {
			return Verdict{}, fmt.Errorf("judge %s of %s: %w", c.Key, a.Branch, err)
		}
		if reason != "" {
			refused[i] = Refusal{Change: c, Verb: c.Verb(), Gate: g.Name, Kind: Outside, Reason: reason}
		}
	}
	var out Verdict
	for i := range g.Rates {
		out.Counts = append(out.Counts, j.rate(g, &g.Rates[i], a, views, name, refused)...)
	}
	for _, i := range slices.Sorted(maps.Keys(refused)) {
		out.Refusals = append(out.Refusals, refused[i])
	}
	return out, nil
}

// outside returns why a change is outside the rules, "" if it is not.
func (j *Judge) outside(ctx context.Context, g *Gate, a Asked, v *view) (string, error) {
	var fitting []*Rule
	for i := range g.Rules {
		if r := &g.Rules[i]; matchAny(r.Keys, v.Key, v.name) && mayFit(r, v.Verb()) {
			fitting = append(fitting, r)
			if r.plain(v.Verb()) {
				return "", nil
			}
		}
	}
	if len(fitting) == 0 {
		return fmt.Sprintf("%s may not %s this key: no rule of gate %s is for it", a.Branch, v.Verb(), g.Name), nil
	}
	if err := j.main.at(ctx, a.Main); err != nil {
		return "", err
	}
	open := v.parts()
	var unmet []string
	for _, r := range fitting {
		why := holds(r, v)
		if why != "" {
			if slices.ContainsFunc(open, func(p part) bool { return j.covers(r, v, p) }) {
				unmet = append(unmet, why)
			}
			continue
		}
		open = slices.DeleteFunc(open, func(p part) bool { return j.covers(r, v, p) })
		if len(open) == 0 {
			return "", nil
		}
	}
	return because(a.Branch, g, open, unmet), nil
}

// mayFit says whether a rule can cover some part of a change of a key.
func mayFit(r *Rule, verb Verb) bool {
	return len(r.Verbs) == 0 || slices.Contains(r.Verbs, verb) || verb == Update // which may begin a deletion, or replace the object
}

// plain says whether a rule asks for no more than the key and the verb.
func (r *Rule) plain(verb Verb) bool {
	if len(r.When) > 0 || r.RBAC != nil {
		return false
	}
	if verb == Update {
		return len(r.Verbs) == 0 && len(r.Fields) == 0
	}
	return true
}

// holds returns which of a rule's relations does not hold, "" if all do.
func holds(r *Rule, v *view) string {
	if len(r.When) == 0 {
		return ""
	}
	if v.load() != nil {
		return "it is no Kubernetes object in JSON"
	}
	for _, name := range r.When {
		if rel, ok := relations[name]; !ok || !rel.holds(v) {
			return rel.otherwise
		}
	}
	return ""
}

// covers says whether a rule that holds covers a part of a change.
func (j *Judge) covers(r *Rule, v *view, p part) bool {
	if len(r.Verbs) > 0 && !slices.Contains(r.Verbs, p.verb) {
		return false
	}
	if p.verb == Update && len(r.Fields) > 0 && (p.field == nil || !j.fields[r].cover(p.field)) {
		return false
	}
	if r.RBAC == nil {
		return true
	}
	return j.ask(r, v.name).covers(v, p)
}

// ask works out what RBAC in main allows those whom a rule names.
func (j *Judge) ask(r *Rule, name string) asked {
	if j.rbacAge != j.main.rbac.age {
		clear(j.cached)
		j.rbacAge = j.main.rbac.age
	}
	key := cacheKey{rule: r, name: name}
	var accounts map[string]who
	if r.RBAC.Pods {
		accounts = j.main.accounts(name)
		key.accounts = strings.Join(slices.Sorted(maps.Keys(accounts)), " ")
	}
	if a, ok := j.cached[key]; ok {
		return a
	}
	people := slices.Collect(maps.Values(accounts))
	for _, user := range r.RBAC.Users {
		people = append(people, who{
			user:   strings.ReplaceAll(user, "{name}", name),
			groups: append(slices.Clone(r.RBAC.Groups), allAuthenticated),
		})
	}
	a := asked{granted: j.main.rbac.grants(people, r.RBAC), rbac: &j.main.rbac, people: people}
	j.cached[key] = a
	return a
}

// because says what is not covered, for a person.
func because(branch string, g *Gate, open []part, unmet []string) string {
	const shown = 3
	var what []string
	for _, p := range open[:min(len(open), shown)] {
		if p.verb == Update && p.field == nil {
			what = append(what, "its value")
			continue
		}
		what = append(what, p.String())
	}
	if more := len(open) - len(what); more > 0 {
		what = append(what, fmt.Sprintf("%d more", more))
	}
	var out string
	if open[0].verb == Update {
		out = fmt.Sprintf("%s may not change %s", branch, strings.Join(what, ", "))
	} else {
		out = fmt.Sprintf("%s may not %s it", branch, open[0].verb)
	}
	slices.Sort(unmet)
	if unmet = slices.Compact(unmet); len(unmet) > 0 {
		out += ": " + strings.Join(unmet, "; ")
	}
	return out + " (gate " + g.Name + ")"
}
