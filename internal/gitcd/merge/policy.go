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
	// Ours and Theirs are the names of the two branches.
	Ours, Theirs string
	// Integrator is the branch that the others are merged into. Default "main".
	Integrator string
	// Owner returns the branch that owns a field of a key, "" if none does. The
	// path is written as in a Conflict; it is empty for the value as a whole. Default: nobody owns anything.
	Owner func(key, path string) string
	// Schema tells what fields mean. Default schema.Default.
	Schema schema.Schema
}

// MainBranch is the integrator if a policy does not name one.
const MainBranch = "main"

func (p Policy) withDefaults() Policy {
	p.Integrator = cmp.Or(p.Integrator, MainBranch)
	if p.Owner == nil {
		p.Owner = func(string, string) string { return "" }
	}
	if p.Schema == nil {
		p.Schema = schema.Default{}
	}
	return p
}

// order compares two branches: the integrator comes first, then by name.
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
	Key    string // a key, or with a slash at its end the keys below
	Path   string // the path of a field; empty for the whole value
	Branch string
}

// OwnerRules is a list of rules of which the first that fits decides.
type OwnerRules []OwnerRule

// DefaultOwners returns who owns what in a headless cluster: nodes their
// status, their leases and what they say of their drivers; components their
// leases; the front door the allocations.
func DefaultOwners() OwnerRules {
	return OwnerRules{
		{Key: "/registry/ranges/", Branch: "heavens/apiserver"},
		{Key: "/registry/minions/*", Path: ".status", Branch: "nodes/*"},
		{Key: "/registry/csinodes/*", Branch: "nodes/*"},
		{Key: "/registry/leases/kube-node-lease/*", Branch: "nodes/*"},
		{Key: "/registry/leases/kube-system/kube-controller-manager", Branch: "heavens/kube-controller-manager"},
		{Key: "/registry/leases/kube-system/kube-scheduler", Branch: "heavens/kube-scheduler"},
	}
}

// Owner is a Policy's Owner.
func (rules OwnerRules) Owner(key, path string) string {
	for _, r := range rules {
		if star, ok := r.fits(key); ok && below(path, r.Path) {
			return strings.Replace(r.Branch, "*", star, 1)
		}
	}
	return ""
}

// fits matches a key, and returns what the star stands for.
func (r OwnerRule) fits(key string) (star string, ok bool) {
	prefix, suffix, hasStar := strings.Cut(r.Key, "*")
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", false
	}
	if !hasStar {
		return "", rest == "" || strings.HasSuffix(r.Key, "/")
	}
	end := strings.IndexByte(rest, '/')
	if end < 0 {
		end = len(rest)
	}
	star, rest = rest[:end], rest[end:]
	if strings.HasSuffix(suffix, "/") {
		return star, strings.HasPrefix(rest, suffix)
	}
	return star, rest == suffix
}

// below says whether a path is another one or goes on from it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
