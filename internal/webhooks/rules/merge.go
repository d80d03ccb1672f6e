// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
)

// Merge refuses what a hub would refuse to start with. The schema has said most of it.
func Merge(at *field.Path, r *heavenv1.MergeRules) field.ErrorList {
	return said(at, heaven.CheckMergeRules(r), "merge.", "policy.", "hub.", "")
}

// Policy refuses what a heaven's hub would refuse to start with.
func Policy(at *field.Path, branch string, p *heavenv1.BranchPolicy) field.ErrorList {
	return said(at, heaven.CheckBranchPolicy(branch, p), "merge.branches[0].", "")
}

// Forge refuses what a hub would refuse to start with.
func Forge(at *field.Path, f *heavenv1.Forge) field.ErrorList {
	return said(at, heaven.CheckForge(f), "hub.mirror.", "git.", "hooks.", "git.webhook.")
}

// said makes errors of an object's fields of those of gitcd's file, by the names that fields have in both.
func said(at *field.Path, problems []error, names ...string) field.ErrorList {
	var errs field.ErrorList
	for _, p := range problems {
		where, why, _ := strings.Cut(p.Error(), ": ")
		errs = append(errs, field.Invalid(at.Child(strings.NewReplacer(names...).Replace(where)), field.OmitValueType{}, why))
	}
	return errs
}
