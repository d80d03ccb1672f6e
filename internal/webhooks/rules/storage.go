// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

const (
	// HeavenStorageSize is the size of a heaven's volume if the spec names none.
	HeavenStorageSize = "2Gi"

	// HubStorageSize is the size of a hub's volume if the spec names none.
	HubStorageSize = "5Gi"
)

// smallest is the least volume that a fresh cluster's repository, its segments and a merge fit in.
var smallest = resource.MustParse("256Mi")

// DefaultStorage returns the storage, or a claim of the given size where the spec leaves things out.
func DefaultStorage(s *heavenv1.Storage, size string) *heavenv1.Storage {
	if s == nil {
		s = &heavenv1.Storage{PersistentVolumeClaim: &heavenv1.PersistentVolumeClaimStorage{}}
	}
	if c := s.PersistentVolumeClaim; c != nil && c.Size.IsZero() {
		c.Size = resource.MustParse(size)
	}
	return s
}

// Storage checks where a repository shall live.
func Storage(path *field.Path, s *heavenv1.Storage) field.ErrorList {
	if s == nil {
		return nil
	}
	var errs field.ErrorList
	if (s.PersistentVolumeClaim == nil) == (s.EmptyDir == nil) {
		errs = append(errs, field.Invalid(path, "", "set exactly one of persistentVolumeClaim and emptyDir"))
	}
	if c := s.PersistentVolumeClaim; c != nil && !c.Size.IsZero() && c.Size.Cmp(smallest) < 0 {
		errs = append(errs, field.Invalid(path.Child("persistentVolumeClaim", "size"), c.Size.String(),
			fmt.Sprintf("is too small for a repository; write at least %s", smallest.String())))
	}
	if e := s.EmptyDir; e != nil && e.SizeLimit != nil && e.SizeLimit.Cmp(smallest) < 0 {
		errs = append(errs, field.Invalid(path.Child("emptyDir", "sizeLimit"), e.SizeLimit.String(),
			fmt.Sprintf("is too small for a repository; write at least %s, or leave it out", smallest.String())))
	}
	return errs
}

// StorageChange checks a change of where a repository lives: volumes only grow, for what they hold may be the only copy.
func StorageChange(path *field.Path, before, after *heavenv1.Storage) field.ErrorList {
	if before == nil || after == nil {
		return nil
	}
	if (before.PersistentVolumeClaim == nil) != (after.PersistentVolumeClaim == nil) {
		return field.ErrorList{field.Forbidden(path, "a repository does not move between a claim and an emptyDir; keep what is set")}
	}
	b, a := before.PersistentVolumeClaim, after.PersistentVolumeClaim
	if b == nil || a == nil {
		return nil
	}
	var errs field.ErrorList
	if !ptr.Equal(b.StorageClassName, a.StorageClassName) {
		errs = append(errs, field.Forbidden(path.Child("persistentVolumeClaim", "storageClassName"), "a claim does not change its class; keep what is set"))
	}
	if a.Size.Cmp(b.Size) < 0 {
		errs = append(errs, field.Forbidden(path.Child("persistentVolumeClaim", "size"), fmt.Sprintf("a claim does not shrink; write at least %s", b.Size.String())))
	}
	return errs
}
