// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// mergeSettings are those of a configuration.
func mergeSettings(m gitcdv1.Merge) (merge.Settings, error) {
	var s merge.Settings
	for _, o := range m.Owners {
		s.Owners = append(s.Owners, merge.OwnerRule{Key: o.Key, Path: o.Path, Branch: o.Branch})
	}
	for _, b := range m.Branches {
		out := merge.BranchSettings{Branch: b.Branch, ToMain: merge.Filter(b.ToMain), FromMain: merge.Filter(b.FromMain)}
		for _, p := range b.Prefer {
			out.Prefer = append(out.Prefer, merge.Preference{Key: p.Key, Path: p.Path, Take: merge.Side(p.Take)})
		}
		s.Branches = append(s.Branches, out)
	}
	if err := s.Validate(); err != nil {
		return s, &usageError{err}
	}
	return s, nil
}
