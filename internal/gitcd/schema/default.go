// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "slices"

// Default is the schema of what every Kubernetes object has in common, and of
// the kinds that Kubernetes itself has.
type Default struct{}

// rule gives the fields at a path, or with a name at any depth, their meaning.
type rule struct {
	group, kind string // of the object; no kind means every object
	path        Path   // the whole path, or
	name        string // the last name of the path
	field       Field
}

// rules are tried in order; the first that fits is the answer.
var rules = []rule{
	{path: Path{"metadata"}, field: Field{Shape: Map}},
	{path: Path{"metadata", "finalizers"}, field: Field{Shape: Set}},
	{path: Path{"metadata", "ownerReferences"}, field: Field{
		Shape: KeyedList, Keys: []string{"uid"}, Required: []string{"uid"}, Unit: true,
	}},
	{path: Path{"metadata", "managedFields"}, field: Field{
		Shape: KeyedList, Keys: []string{"manager", "operation", "apiVersion", "subresource", "fieldsType"}, Required: []string{"manager", "operation"},
	}},
	// A namespace has finalizers of its own in its spec.
	{kind: "Namespace", path: Path{"spec", "finalizers"}, field: Field{Shape: Set}},
	{name: "conditions", field: Field{
		Shape: KeyedList, Keys: []string{"type"}, Required: []string{"type", "status"}, Unit: true,
	}},
	// Published as one value; yet people, kube-controller-manager and machine controllers each keep taints of their own there.
	{kind: "Node", path: Path{"spec", "taints"}, field: Field{
		Shape: KeyedList, Keys: []string{"key", "effect"}, Required: []string{"key", "effect"}, Unit: true,
	}},
	// Who holds a lease, since when and for how long is one statement.
	{group: "coordination.k8s.io", kind: "Lease", path: Path{"spec"}, field: Field{Shape: Atomic}},
	// References and selectors: half of one and half of another would name a third.
	{name: "claimRef", field: Field{Shape: Atomic}},
	{name: "roleRef", field: Field{Shape: Atomic}},
	{name: "selector", field: Field{Shape: Atomic}},
	{name: "nodeSelector", field: Field{Shape: Atomic}},
}

// Lookup implements Schema.
func (Default) Lookup(t Type, p Path) Field {
	f := ruled(t, p)
	if n := kubernetes().kinds[t].below(p); n != nil {
		if f.Shape == Unknown {
			return n.Field
		}
		f.Limits = n.Limits
	}
	return f
}

// ruled returns what the rules say of a field.
func ruled(t Type, p Path) Field {
	if len(p) == 0 {
		return Field{Shape: Map}
	}
	for _, r := range rules {
		if r.kind != "" && (r.kind != t.Kind || r.group != t.Group()) {
			continue
		}
		if r.path != nil && slices.Equal(r.path, p) || r.name != "" && r.name == p[len(p)-1] && !free(p) {
			return r.field
		}
	}
	return Field{}
}

// free says whether the last name of a path is a user's choice, as that of a
// label is, and so means nothing.
func free(p Path) bool {
	if len(p) < 2 {
		return false
	}
	switch p[len(p)-2] {
	case "labels", "annotations", "matchLabels", "data", "binaryData", "stringData":
		return true
	default:
		return false
	}
}
