// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"slices"
	"strings"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// CheckMergeRules names what a hub would not start with, each mistake with its field.
func CheckMergeRules(r *heavenv1.MergeRules) []error {
	return hubFile(HubInput{Merge: &heavenv1.AutomatedMerge{Spec: heavenv1.AutomatedMergeSpec{MergeRules: *r}}}).Problems()
}

// CheckBranchPolicy names what a hub would not start with, each mistake with its field.
func CheckBranchPolicy(branch string, p *heavenv1.BranchPolicy) []error {
	h := heavenv1.TrishankuHeaven{Spec: heavenv1.TrishankuHeavenSpec{Branch: branch, Policy: *p}}
	return hubFile(HubInput{Merge: &heavenv1.AutomatedMerge{}, Heavens: []heavenv1.TrishankuHeaven{h}}).Problems()
}

// mergeConfig says how branches meet main: what each heaven says of its own branch comes first, in the order of the
// branches' names, then what the merge says. Only the hub's file has it; heavens hear it from the hub.
func mergeConfig(policy heavenv1.MergePolicy, heavens []heavenv1.TrishankuHeaven) gitcdv1.Merge {
	var out gitcdv1.Merge
	for _, o := range policy.Owners {
		out.Owners = append(out.Owners, gitcdv1.Owner{Key: o.Key, Path: o.Path, Branch: stringOf(o.Branch)})
	}
	for i := range heavens {
		if own := branchMerge(heavens[i].Spec.Branch, heavens[i].Spec.Policy); !own.Empty() {
			out.Branches = append(out.Branches, own)
		}
	}
	slices.SortFunc(out.Branches, func(a, b gitcdv1.BranchMerge) int { return cmp.Compare(a.Branch, b.Branch) })
	for _, b := range policy.Branches {
		out.Branches = append(out.Branches, branchMerge(b.Branch, b.BranchPolicy))
	}
	return out
}

func branchMerge(branch string, p heavenv1.BranchPolicy) gitcdv1.BranchMerge {
	out := gitcdv1.BranchMerge{Branch: branch, ToMain: keyFilter(p.ToMain), FromMain: keyFilter(p.FromMain)}
	for _, f := range p.Prefer {
		out.Prefer = append(out.Prefer, gitcdv1.Preference{Key: f.Key, Path: f.Path, Take: gitcdv1.Take(strings.ToLower(string(f.Take)))})
	}
	return out
}

// gates are those of a merge, in its order: the first that fits a branch counts.
func gates(from []heavenv1.Gate) []gitcdv1.Gate {
	var out []gitcdv1.Gate
	for _, g := range from {
		gate := gitcdv1.Gate{Name: g.Name, Branches: sortedStrings(g.Branches)}
		for _, r := range g.Rules {
			gate.Rules = append(gate.Rules, gitcdv1.GateRule{
				Name: r.Name, Keys: sortedStrings(r.Keys), Verbs: gateVerbs(r.Verbs), Fields: slices.Clone(r.Fields),
				When: sortedStrings(r.When), RBAC: gateRBAC(r.RBAC),
			})
		}
		for _, r := range g.Rates {
			rate := gitcdv1.GateRate{Name: r.Name, Keys: sortedStrings(r.Keys), Verbs: gateVerbs(r.Verbs), Per: gitcdv1.Duration{Duration: r.Per.Duration}}
			if r.Limit != nil {
				rate.Limit = int(*r.Limit)
			}
			gate.Rates = append(gate.Rates, rate)
		}
		out = append(out, gate)
	}
	return out
}

func gateVerbs(from []heavenv1.GateVerb) []gitcdv1.GateVerb {
	var out []gitcdv1.GateVerb
	for _, v := range from {
		out = append(out, gitcdv1.GateVerb(v))
	}
	slices.Sort(out)
	return out
}

func gateRBAC(r heavenv1.GateRBAC) *gitcdv1.GateRBAC {
	if len(r.Users)+len(r.Groups)+len(r.Bindings) == 0 && !deref(r.Pods) {
		return nil
	}
	return &gitcdv1.GateRBAC{
		Users: sortedStrings(r.Users), Groups: sortedStrings(r.Groups), Bindings: sortedStrings(r.Bindings),
		ExceptBindings: sortedStrings(r.ExceptBindings), Pods: deref(r.Pods),
	}
}

// keyFilter sorts: a set has no order, and equal policies are to give equal bytes.
func keyFilter(f heavenv1.KeyFilter) gitcdv1.KeyFilter {
	return gitcdv1.KeyFilter{Include: sortedStrings(f.Include), Exclude: sortedStrings(f.Exclude)}
}

func sortedStrings(set []string) []string {
	out := slices.Clone(set)
	slices.Sort(out)
	return out
}

func stringOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
