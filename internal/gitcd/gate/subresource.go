// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import "slices"

// subresource is a way to change some fields of an object with a right of its own.
type subresource struct {
	of, name string // of every resource if "*"
	verbs    []string
	fields   []path
	when     func(*view) bool // nil: always
}

var writes = []string{"update", "patch"}

// subresources are those of built-in resources that change what is stored. API
// servers take labels and annotations with a status or a binding, too.
var subresources = []subresource{
	{of: "*", name: "status", verbs: writes, fields: []path{{"status"}, {"metadata", "labels"}, {"metadata", "annotations"}}},
	{of: "*", name: "scale", verbs: writes, fields: []path{{"spec", "replicas"}}},
	{of: "*", name: "approval", verbs: writes, fields: []path{{"status", "conditions"}}},
	{of: "namespaces", name: "finalize", verbs: writes, fields: []path{{"spec", "finalizers"}}},
	{
		of: "pods", name: "binding", verbs: []string{"create"}, when: unbound,
		fields: []path{{"spec", "nodeName"}, {"status", "conditions", "PodScheduled"}, {"metadata", "labels"}, {"metadata", "annotations"}},
	},
	{of: "pods", name: "eviction", verbs: []string{"create"}, fields: []path{{"status", "conditions", "DisruptionTarget"}}},
	{of: "pods", name: "ephemeralcontainers", verbs: writes, fields: []path{{"spec", "ephemeralContainers"}}},
	{of: "pods", name: "resize", verbs: writes, fields: []path{{"spec", "containers"}, {"spec", "initContainers"}, {"spec", "resources"}}},
}

func unbound(v *view) bool { return v.old.text("spec", "nodeName") == "" }

// asked is RBAC's answer for some people, about main as it is.
type asked struct {
	granted
	rbac   *rbac
	people []who
}

// covers says whether they may do a part of a change.
func (a asked) covers(v *view, p part) bool {
	readable := v.load() == nil
	res, ok := resourceOf(v.Key, v.any())
	if !ok {
		return false
	}
	if a.sideEffect(v, res, p) {
		return true
	}
	switch p.verb {
	case Create:
		return a.may(res, "", "create") && (readable && sound(v.Key, v.new) && a.honest(v, res) || !readable && v.encrypted())
	case Delete:
		return a.may(res, "", "delete", "deletecollection") ||
			res.name == "pods" && a.may(res, "eviction", "create") ||
			v.Verb() == Delete && (readable && v.terminating() || v.wasEncrypted()) && a.may(res, "", writes...) // it took away the last finalizer
	case Update:
	}
	if p.field == nil {
		return v.encrypted() && a.may(res, "", writes...)
	}
	return a.coversField(v, res, p.field)
}

func (a asked) coversField(v *view, res resource, field path) bool {
	if (res.custom || field[0] != "status") && a.may(res, "", writes...) {
		return a.honest(v, res)
	}
	return slices.ContainsFunc(subresources, func(s subresource) bool {
		return (s.of == "*" || s.of == res.name) &&
			slices.ContainsFunc(s.fields, func(f path) bool { return f.covers(field) }) &&
			(s.when == nil || s.when(v)) && a.may(res, s.name, s.verbs...)
	})
}

// sideEffect says whether a change is what an API server does by itself when
// they do what they may: it keeps addresses, counts quotas and disruptions.
func (a asked) sideEffect(v *view, res resource, p part) bool {
	status := p.verb == Update && len(p.field) > 0 && p.field[0] == "status"
	switch res.name {
	case "ipaddresses":
		parent := v.any()
		service := resource{name: "services", namespace: parent.text("spec", "parentRef", "namespace"), object: parent.text("spec", "parentRef", "name")}
		return parent.text("spec", "parentRef", "resource") == "services" && a.may(service, "", "create", "update", "patch", "delete", "deletecollection")
	case "ranges": // of node ports: who may change all Services takes and frees them
		return p.verb == Update && a.may(resource{name: "services"}, "", "create", "update", "patch", "delete")
	case "resourcequotas":
		return status && a.creates(res.namespace)
	case "poddisruptionbudgets":
		return status && a.may(resource{name: "pods", namespace: res.namespace}, "eviction", "create")
	}
	return false
}

// honest holds what an API server would check beyond RBAC: that nobody gives
// away rights that they do not have, or asks for a certificate as somebody else.
func (a asked) honest(v *view, res resource) bool {
	if res.group == "certificates.k8s.io" && res.name == "certificatesigningrequests" {
		user := v.new.text("spec", "username")
		return v.old.text("spec", "username") == user || slices.ContainsFunc(a.people, func(w who) bool { return w.user == user })
	}
	if res.group != "rbac.authorization.k8s.io" {
		return true
	}
	switch res.name {
	case "roles", "clusterroles":
		var rules []policyRule
		if v.new.at("aggregationRule") != nil && v.changes("aggregationRule") {
			rules = []policyRule{{verbs: []string{"*"}, groups: []string{"*"}, resources: []string{"*"}}}
		}
		if v.changes("rules") {
			rules = append(rules, policyRules(v.new)...)
		}
		return a.granted.covers(res.namespace, rules) || a.may(res, "", "escalate")
	case "rolebindings", "clusterrolebindings":
		if !v.changes("subjects") && !v.changes("roleRef") {
			return true
		}
		b := bindingOf(v.Key, v.new)
		role, _ := resourceOf(b.role, nil)
		rules, there := a.rbac.roles[b.role]
		return there && a.granted.covers(res.namespace, rules) || a.may(role, "", "bind")
	}
	return true
}

// changes says whether a change touches a field at the top of the object.
func (v *view) changes(field string) bool {
	if v.old == nil {
		return v.new.at(field) != nil
	}
	return slices.ContainsFunc(v.fields, func(p path) bool { return p[0] == field })
}
