// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"slices"
	"strings"
)

// rbac is who may do what in main.
type rbac struct {
	roles    map[string][]policyRule // key -> rules
	bindings map[string]binding      // key -> binding
	// age grows with each change, by which what was worked out is told to be out of date.
	age int
}

// policyRule is a rule of a role.
type policyRule struct{ verbs, groups, resources, names, urls []string }

type binding struct {
	namespace string // "" for everywhere
	role      string // key
	subjects  []subject
}

type subject struct{ kind, namespace, name string }

// who is somebody that RBAC is asked about.
type who struct {
	user   string
	groups []string
}

const allAuthenticated = "system:authenticated"

func serviceAccount(namespace, name string) who {
	const all = "system:serviceaccounts"
	return who{user: "system:serviceaccount:" + namespace + ":" + name, groups: []string{all, all + ":" + namespace, allAuthenticated}}
}

func newRBAC() rbac {
	return rbac{roles: map[string][]policyRule{}, bindings: map[string]binding{}}
}

// role keeps a role's rules. Those of an aggregated role are there already: a controller writes them.
func (r *rbac) role(key string, o object) {
	r.age++
	if o == nil {
		delete(r.roles, key)
		return
	}
	r.roles[key] = policyRules(o)
}

func policyRules(o object) []policyRule {
	items := o.list("rules")
	rules := make([]policyRule, 0, len(items))
	for _, item := range items {
		rules = append(rules, policyRule{
			verbs: item.texts("verbs"), groups: item.texts("apiGroups"), resources: item.texts("resources"),
			names: item.texts("resourceNames"), urls: item.texts("nonResourceURLs"),
		})
	}
	return rules
}

func (r *rbac) binding(key string, o object) {
	r.age++
	if o == nil {
		delete(r.bindings, key)
		return
	}
	r.bindings[key] = bindingOf(key, o)
}

func bindingOf(key string, o object) binding {
	var b binding
	if rest, ok := strings.CutPrefix(key, roleBindingKeys); ok {
		b.namespace, _, _ = strings.Cut(rest, "/")
	}
	switch o.text("roleRef", "kind") {
	case "ClusterRole":
		b.role = clusterRoleKeys + o.text("roleRef", "name")
	case "Role":
		if b.namespace != "" {
			b.role = roleKeys + b.namespace + "/" + o.text("roleRef", "name")
		}
	}
	for _, s := range o.list("subjects") {
		b.subjects = append(b.subjects, subject{kind: s.text("kind"), namespace: s.text("namespace"), name: s.text("name")})
	}
	return b
}

// means says whether a subject is somebody.
func (s subject) means(w who) bool {
	switch s.kind {
	case "User":
		return s.name == w.user
	case "Group":
		return slices.Contains(w.groups, s.name)
	case "ServiceAccount":
		return w.user == "system:serviceaccount:"+s.namespace+":"+s.name
	default:
		return false
	}
}

// granted is what somebody may do: rules, by the namespace that they are for.
type granted map[string][]policyRule

// grants collects what some people, and whoever some bindings bind, may do.
func (r *rbac) grants(people []who, s *Subjects) granted {
	out := granted{}
	for key, b := range r.bindings {
		named := func(patterns []string) bool { return bindingNamed(patterns, key) }
		if named(s.ExceptBindings) || !named(s.Bindings) && !slices.ContainsFunc(b.subjects, func(x subject) bool { return slices.ContainsFunc(people, x.means) }) {
			continue
		}
		out[b.namespace] = append(out[b.namespace], r.roles[b.role]...)
	}
	return out
}

// bindingNamed says whether patterns name the binding of a key.
func bindingNamed(patterns []string, key string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(key, clusterRoleBindingKeys), roleBindingKeys)
	return slices.ContainsFunc(patterns, func(pattern string) bool { return glob(pattern, name) })
}

// may says whether one of the verbs is granted on a resource; sub is a subresource or "".
func (g granted) may(res resource, sub string, verbs ...string) bool {
	for _, rules := range [][]policyRule{g[""], g[res.namespace]} {
		for i := range rules {
			if slices.ContainsFunc(verbs, func(v string) bool { return rules[i].allows(v, res.group, res.name, sub, res.object) }) {
				return true
			}
		}
		if res.namespace == "" {
			break
		}
	}
	return false
}

// allows compares as RBAC does. A "*" that is asked for is allowed by a "*" only.
func (p *policyRule) allows(verb, group, name, sub, object string) bool {
	if !either(p.verbs, verb) || !either(p.groups, group) {
		return false
	}
	if len(p.names) > 0 && !slices.Contains(p.names, object) {
		return false
	}
	full := name
	if sub != "" {
		full += "/" + sub
	}
	return either(p.resources, full) || sub != "" && slices.Contains(p.resources, "*/"+sub)
}

func either(list []string, what string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, what)
}

// creates says whether anything that is stored may be created in a namespace.
func (g granted) creates(namespace string) bool {
	for _, ns := range []string{"", namespace} {
		for _, p := range g[ns] {
			stored := func(group string) bool { return group != "authorization.k8s.io" && group != "authentication.k8s.io" }
			if either(p.verbs, "create") && len(p.resources) > 0 && slices.ContainsFunc(p.groups, stored) {
				return true
			}
		}
	}
	return false
}

// covers says whether all that the rules of a role would grant in a namespace
// is granted already: nobody gives away what they do not have.
func (g granted) covers(namespace string, rules []policyRule) bool {
	for _, p := range rules {
		for _, verb := range p.verbs {
			if !g.coversVerb(verb, namespace, p) {
				return false
			}
		}
	}
	return true
}

func (g granted) coversVerb(verb, namespace string, p policyRule) bool {
	for _, url := range p.urls {
		if !slices.ContainsFunc(g[""], func(q policyRule) bool { return either(q.verbs, verb) && either(q.urls, url) }) {
			return false
		}
	}
	for _, group := range p.groups {
		for _, name := range p.resources {
			if !g.coversResource(verb, group, name, namespace, p.names) {
				return false
			}
		}
	}
	return true
}

func (g granted) coversResource(verb, group, name, namespace string, objects []string) bool {
	if len(objects) == 0 {
		objects = []string{""} // all: a rule for some names does not have it
	}
	res := resource{group: group, namespace: namespace}
	var sub string
	res.name, sub, _ = strings.Cut(name, "/")
	for _, res.object = range objects {
		if !g.may(res, sub, verb) {
			return false
		}
	}
	return true
}
