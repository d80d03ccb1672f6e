// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"slices"
	"strings"
)

// Gate says what some branches may change in main. What is outside goes to quarantine, and the rest to main.
type Gate struct {
	// Name is how records, metrics and people call it.
	Name string `json:"name"`

	// Branches are patterns, such as nodes/*: a "*" stands for one part, which is {name} in the rules.
	Branches []string `json:"branches"`

	// Rules say what the branches may do. Absent: everything.
	Rules []GateRule `json:"rules,omitempty"`

	// Rates bound how often they may do it.
	Rates []GateRate `json:"rates,omitempty"`
}

// GateRule lets changes through. All that it says must fit.
type GateRule struct {
	// Name is how people call it.
	Name string `json:"name,omitempty"`

	// Keys are patterns: "*" stands for any characters of one part, "**" at the end for all below. Absent: all keys.
	Keys []string `json:"keys,omitempty"`

	// Verbs are create, update and delete. Absent: all.
	Verbs []GateVerb `json:"verbs,omitempty"`

	// Fields of an update, such as .status or .metadata.labels[example.org/*]; one with "!" in front is taken out. Absent: all.
	Fields []string `json:"fields,omitempty"`

	// When are relations that must hold, such as bound. See docs/gates.md.
	When []string `json:"when,omitempty"`

	// RBAC lets through what roles in main grant to these.
	RBAC *GateRBAC `json:"rbac,omitempty"`
}

// GateVerb is what happens to a key.
type GateVerb string

// The verbs.
const (
	GateCreate GateVerb = "create"
	GateUpdate GateVerb = "update"
	GateDelete GateVerb = "delete"
)

// GateRBAC names whose roles count.
type GateRBAC struct {
	// Users by name.
	Users []string `json:"users,omitempty"`

	// Groups that all of the users are in.
	Groups []string `json:"groups,omitempty"`

	// Bindings are patterns of ClusterRoleBindings, and of RoleBindings as <namespace>/<name>, all of whose roles count.
	Bindings []string `json:"bindings,omitempty"`

	// ExceptBindings are left out, whomever they bind.
	ExceptBindings []string `json:"exceptBindings,omitempty"`

	// Pods adds the service accounts of the pods that are bound to the node {name}.
	Pods bool `json:"pods,omitempty"`
}

// GateRate bounds how many keys a branch may change in a time. What is beyond waits for a person.
type GateRate struct {
	// Name is how records and people call it.
	Name string `json:"name"`

	// Keys are patterns as in GateRule. Absent: all keys.
	Keys []string `json:"keys,omitempty"`

	// Verbs that count. Absent: delete.
	Verbs []GateVerb `json:"verbs,omitempty"`

	// Limit is how many may change in any time of the length Per.
	Limit int `json:"limit"`

	// Per is that time, such as 1m.
	Per Duration `json:"per"`
}

// DefaultGates says whether gitcd's own gates are tried behind those of the file.
type DefaultGates string

// The choices.
const (
	DefaultGatesEnabled  DefaultGates = "Enabled"
	DefaultGatesDisabled DefaultGates = "Disabled"
)

// validateGates looks at the form. What fields and relations mean is looked at by the hub when it starts.
func (h *Hub) validateGates(p *problems) {
	if h.DefaultGates != DefaultGatesEnabled && h.DefaultGates != DefaultGatesDisabled {
		p.add("hub.defaultGates", "is %q; write Enabled or Disabled", h.DefaultGates)
	}
	for i, name := range h.Approvers {
		p.branch(fmt.Sprintf("hub.approvers[%d]", i), name)
	}
	names := map[string]int{}
	for i := range h.Gates {
		g, field := &h.Gates[i], fmt.Sprintf("hub.gates[%d]", i)
		if g.Name == "" {
			p.add(field+".name", "is missing; records and metrics call the gate by it")
		}
		if k, ok := names[g.Name]; ok {
			p.add(field+".name", "%q was given in hub.gates[%d] already; name one of them differently", g.Name, k)
		}
		names[g.Name] = i
		if len(g.Branches) == 0 {
			p.add(field+".branches", "is empty: the gate would be nobody's; write patterns such as nodes/*")
		}
		for k, b := range g.Branches {
			p.branch(fmt.Sprintf("%s.branches[%d]", field, k), strings.ReplaceAll(b, "*", "x"))
		}
		for k := range g.Rules {
			p.gateRule(fmt.Sprintf("%s.rules[%d]", field, k), &g.Rules[k])
		}
		for k := range g.Rates {
			p.gateRate(fmt.Sprintf("%s.rates[%d]", field, k), &g.Rates[k])
		}
	}
}

func (p *problems) gateRule(field string, r *GateRule) {
	p.gateKeys(field, r.Keys)
	p.gateVerbs(field, r.Verbs)
	for i, f := range r.Fields {
		if f = strings.TrimPrefix(f, "!"); len(f) < 2 || f[0] != '.' && f[0] != '[' {
			p.add(fmt.Sprintf("%s.fields[%d]", field, i), "is %q; write a field such as .status.conditions[Ready]", r.Fields[i])
		}
	}
	if s := r.RBAC; s != nil && len(s.Users) == 0 && len(s.Bindings) == 0 && !s.Pods {
		p.add(field+".rbac", "names nobody; write users, bindings or pods: true")
	}
}

func (p *problems) gateRate(field string, r *GateRate) {
	if r.Name == "" {
		p.add(field+".name", "is missing; records call the rate by it")
	}
	p.gateKeys(field, r.Keys)
	p.gateVerbs(field, r.Verbs)
	if r.Limit < 0 {
		p.add(field+".limit", "is %d; write how many, 0 if each one is to wait for a person", r.Limit)
	}
	p.positive(field+".per", r.Per.Duration)
}

func (p *problems) gateKeys(field string, keys []string) {
	for i, k := range keys {
		inner := strings.TrimSuffix(strings.TrimSuffix(k, "**"), "/")
		if !strings.HasPrefix(k, "/") || strings.Contains(inner, "**") || strings.HasSuffix(k, "**") && !strings.HasSuffix(k, "/**") {
			p.add(fmt.Sprintf("%s.keys[%d]", field, i), "is %q; write a pattern such as /registry/pods/*/*, or /registry/pods/** for all below", k)
		}
	}
}

func (p *problems) gateVerbs(field string, verbs []GateVerb) {
	for i, v := range verbs {
		if !slices.Contains([]GateVerb{GateCreate, GateUpdate, GateDelete}, v) {
			p.add(fmt.Sprintf("%s.verbs[%d]", field, i), "is %q; write create, update or delete", v)
		}
	}
}
