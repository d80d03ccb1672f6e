// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"cmp"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// Policy says how conflicts between two branches are decided. Both places that
// merge two branches must use equal policies, with the names swapped: then
// they get equal results.
type Policy struct {
	// Ours and Theirs are the names of the two branches. They are the same for two
	// copies of one branch, as peers have them: nobody owns then what the other
	// does not own, too, and what nothing else decides the values decide.
	Ours, Theirs string
	// Integrator is the branch that the others are merged into. Default "main".
	Integrator string
	// Owner returns the branch that owns a field of a key, "" if none does. The
	// path is written as in a Conflict; it is empty for the value as a whole. Default: nobody owns anything.
	// A name with a path in braces, such as nodes/{.spec.nodeName}, has the value there if both sides have the same.
	Owner func(key, path string) string
	// Prefer says whose value of a field stands if no owner's does: positive for
	// the first branch's, negative for the second's, zero for neither. Asked the
	// other way round it says the opposite. It is about names, not about ours and
	// theirs: a base of several is merged in another order. Default: neither's.
	Prefer func(first, second, key, path string) int
	// Filters leave keys of theirs out: all of them must let a key pass. Ours is
	// kept as it is in such a key, and Merged.Trailer notes that theirs was not
	// merged there, so that it will be once the filters let it.
	Filters []Filter
	// Schema tells what fields mean. Default schema.Default. Behind it, a merge of
	// trees asks the definitions of custom resources in the trees.
	Schema schema.Schema

	definitions definitions // those that a History remembers
}

// MainBranch is the integrator if a policy does not name one.
const MainBranch = "main"

func (p Policy) withDefaults() Policy {
	p.Integrator = cmp.Or(p.Integrator, MainBranch)
	if p.Owner == nil {
		p.Owner = func(string, string) string { return "" }
	}
	if p.Prefer == nil {
		p.Prefer = func(_, _, _, _ string) int { return 0 }
	}
	if p.Schema == nil {
		p.Schema = schema.Default{}
	}
	return p
}

// order compares two branches: the integrator comes first, then by name. Copies
// of one branch are equal: of their values the one that sorts first counts.
func (p Policy) order(a, b string) int {
	rank := func(branch string) int {
		if branch == p.Integrator {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}

// OwnerRule says that a branch owns the fields below a path of some keys. A
// "*" in Key stands for one component, and in Branch for what it stood for.
type OwnerRule struct {
	Key    string `json:"key"`            // a pattern: see Fits
	Path   string `json:"path,omitempty"` // the path of a field; empty for the whole value
	Branch string `json:"branch"`         // empty: nobody owns it, which lifts a later rule
}

// OwnerRules is a list of rules of which the first that fits decides.
type OwnerRules []OwnerRule

// DefaultOwners returns who owns what in a headless cluster: nodes their
// status, that of the pods they run, their leases and what they say of their
// drivers; components their leases; who allocates, what it allocated.
func DefaultOwners() OwnerRules {
	return OwnerRules{
		{Key: "/registry/ranges/", Branch: "heavens/apiserver"},
		{Key: "/registry/services/specs/", Path: ".spec.clusterIP", Branch: "heavens/apiserver"},
		{Key: "/registry/minions/*", Path: ".status", Branch: "nodes/*"},
		{Key: "/registry/minions/", Path: ".spec.podCIDR", Branch: "heavens/kube-controller-manager"},
		{Key: "/registry/pods/", Path: ".status", Branch: "nodes/{.spec.nodeName}"},
		{Key: "/registry/csinodes/*", Branch: "nodes/*"},
		{Key: "/registry/leases/kube-node-lease/*", Branch: "nodes/*"},
		{Key: "/registry/leases/kube-system/kube-controller-manager", Branch: "heavens/kube-controller-manager"},
		{Key: "/registry/leases/kube-system/kube-scheduler", Branch: "heavens/kube-scheduler"},
	}
}

// Owner is a Policy's Owner.
func (rules OwnerRules) Owner(key, path string) string {
	for _, r := range rules {
		if star, ok := Fits(r.Key, key); ok && below(path, r.Path) {
			return strings.Replace(r.Branch, "*", star, 1)
		}
	}
	return ""
}

// below says whether a path is another one or goes on from it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
