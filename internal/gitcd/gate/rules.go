// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verb is what happens to a key.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Set is a list of gates of which the first that is for a branch counts. A
// branch that none is for may change everything.
type Set []Gate

// Gate says what some branches may change in main.
type Gate struct {
	// Name is how records, metrics and people call it.
	Name string `json:"name"`
	// Branches are patterns of branches: a "*" stands for one part. What the
	// first one stood for is "{name}" in the rules.
	Branches []string `json:"branches"`
	// Rules say what the branches may do. None: everything.
	Rules []Rule `json:"rules,omitempty"`
	// Rates say how often.
	Rates []Rate `json:"rates,omitempty"`
}

// Rule covers parts of changes. All that it says must fit.
type Rule struct {
	// Name is how people call it.
	Name string `json:"name,omitempty"`
	// Keys are patterns of keys: "*" stands for any characters of one part, "**" at the end for all below. None: all keys.
	Keys []string `json:"keys,omitempty"`
	// Verbs that it covers. None: all.
	Verbs []Verb `json:"verbs,omitempty"`
	// Fields of an update that it covers, with what is below them: ".status",
	// ".metadata.labels[example.org/*]", ".status.conditions[PodScheduled]".
	// One that begins with "!" is not covered, though another field would. None: all.
	Fields []string `json:"fields,omitempty"`
	// When are relations that must hold; see Relations.
	When []string `json:"when,omitempty"`
	// RBAC covers what these may do.
	RBAC *Subjects `json:"rbac,omitempty"`
}

// Subjects are whom a rule asks RBAC about.
type Subjects struct {
	// Users by name, such as system:kube-scheduler.
	Users []string `json:"users,omitempty"`
	// Groups that all of the users are in.
	Groups []string `json:"groups,omitempty"`
	// Bindings are patterns of ClusterRoleBindings, and of RoleBindings as
	// <namespace>/<name>: whoever they bind is meant. ExceptBindings are left
	// out, whomever they bind.
	Bindings       []string `json:"bindings,omitempty"`
	ExceptBindings []string `json:"exceptBindings,omitempty"`
	// Pods adds the service accounts of the pods that are bound to the node {name}.
	Pods bool `json:"pods,omitempty"`
}

// Rate bounds how many keys a branch may change in a time. What is beyond
// waits for a person, with all that follows until then.
type Rate struct {
	// Name is how records and people call it.
	Name string `json:"name"`
	// Keys are patterns of keys. None: all.
	Keys []string `json:"keys,omitempty"`
	// Verbs that count. None: delete.
	Verbs []Verb `json:"verbs,omitempty"`
	// Limit is how many may change in any time of the length Per.
	Limit int      `json:"limit"`
	Per   Duration `json:"per"`
}

// Duration is a time.Duration that is written as "1m".
type Duration time.Duration

// MarshalJSON writes it as time.Duration does.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("read duration %s: %w; write it as \"1m\"", data, err)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("read duration: %w; write it as \"1m\"", err)
	}
	*d = Duration(parsed)
	return nil
}

// For returns the gate of a branch, and what the star of its pattern stands for.
func (s Set) For(branch string) (g *Gate, name string, ok bool) {
	for i := range s {
		for _, pattern := range s[i].Branches {
			if name, ok := matchBranch(pattern, branch); ok {
				return &s[i], name, true
			}
		}
	}
	return nil, "", false
}

// Open says whether a gate lets everything through.
func (g *Gate) Open() bool { return len(g.Rules) == 0 && len(g.Rates) == 0 }

// Validate names all that is wrong with the gates, each with its field.
func (s Set) Validate() error {
	v := &validator{}
	names := map[string]bool{}
	for i := range s {
		g, at := &s[i], fmt.Sprintf("[%d]", i)
		switch {
		case g.Name == "":
			v.add(at+".name", "is missing; records and metrics call the gate by it")
		case names[g.Name]:
			v.add(at+".name", "%q is the name of another gate, too; name one of them differently", g.Name)
		}
		names[g.Name] = true
		if len(g.Branches) == 0 {
			v.add(at+".branches", "is empty: the gate would be nobody's; write patterns such as nodes/*")
		}
		for k, b := range g.Branches {
			if b == "" || strings.HasPrefix(b, "/") || strings.HasPrefix(b, "refs/") || strings.ContainsAny(b, " {}\n") {
				v.add(fmt.Sprintf("%s.branches[%d]", at, k), "is %q; write a pattern such as heavens/kube-scheduler or nodes/*", b)
			}
		}
		for k := range g.Rules {
			v.rule(fmt.Sprintf("%s.rules[%d]", at, k), &g.Rules[k])
		}
		for k := range g.Rates {
			v.rate(fmt.Sprintf("%s.rates[%d]", at, k), &g.Rates[k], g.Rates[:k])
		}
	}
	return errors.Join(v.errs...)
}

type validator struct{ errs []error }

func (v *validator) add(field, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("gates%s: %s", field, fmt.Sprintf(format, args...)))
}

func (v *validator) rule(at string, r *Rule) {
	v.keys(at, r.Keys)
	v.verbs(at, r.Verbs)
	for i, f := range r.Fields {
		if _, err := parseField(strings.TrimPrefix(f, "!")); err != nil {
			v.add(fmt.Sprintf("%s.fields[%d]", at, i), "%v", err)
		}
	}
	for i, w := range r.When {
		if _, ok := relations[w]; !ok {
			v.add(fmt.Sprintf("%s.when[%d]", at, i), "is %q; write one of %s", w, strings.Join(Relations(), ", "))
		}
	}
	if s := r.RBAC; s != nil && len(s.Users) == 0 && len(s.Bindings) == 0 && !s.Pods {
		v.add(at+".rbac", "names nobody; write users, bindings or pods: true")
	}
}

func (v *validator) rate(at string, r *Rate, before []Rate) {
	if r.Name == "" {
		v.add(at+".name", "is missing; records call the rate by it")
	}
	if slices.ContainsFunc(before, func(b Rate) bool { return b.Name == r.Name }) {
		v.add(at+".name", "%q is the name of another rate of the gate, too; name one of them differently", r.Name)
	}
	v.keys(at, r.Keys)
	v.verbs(at, r.Verbs)
	if r.Limit < 0 {
		v.add(at+".limit", "is %d; write how many, 0 if each one is to wait for a person", r.Limit)
	}
	if r.Per <= 0 {
		v.add(at+".per", "is %s; write a time above zero, such as 1m", time.Duration(r.Per))
	}
}

func (v *validator) keys(at string, keys []string) {
	for i, k := range keys {
		inner := strings.TrimSuffix(strings.TrimSuffix(k, "**"), "/")
		if !strings.HasPrefix(k, "/") || strings.Contains(inner, "**") || strings.HasSuffix(k, "**") && !strings.HasSuffix(k, "/**") {
			v.add(fmt.Sprintf("%s.keys[%d]", at, i), "is %q; write a pattern such as /registry/pods/*/*, or /registry/pods/** for all below", k)
		}
	}
}

func (v *validator) verbs(at string, verbs []Verb) {
	for i, verb := range verbs {
		if verb != Create && verb != Update && verb != Delete {
			v.add(fmt.Sprintf("%s.verbs[%d]", at, i), "is %q; write create, update or delete", verb)
		}
	}
}
