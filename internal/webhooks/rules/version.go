// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
)

const (
	// OldestMinor is the oldest minor version of Kubernetes 1 whose kube-apiserver has all that a heaven needs.
	OldestMinor = 34

	// TestedMinor is the minor version of Kubernetes 1 that this release is tested with.
	TestedMinor = 36
)

// DefaultVersion puts the v before a version that lacks it.
func DefaultVersion(v string) string {
	if v != "" && v[0] >= '0' && v[0] <= '9' {
		return "v" + v
	}
	return v
}

// Version checks a Kubernetes version.
func Version(path *field.Path, v string) field.ErrorList {
	if v == "" {
		return field.ErrorList{field.Required(path, fmt.Sprintf("write a Kubernetes version, such as v1.%d.0", TestedMinor))}
	}
	parsed, err := version.ParseSemantic(v)
	if err != nil || !strings.HasPrefix(v, "v") {
		return field.ErrorList{field.Invalid(path, v, fmt.Sprintf("is no version; write all three parts, such as v1.%d.0", TestedMinor))}
	}
	if parsed.Major() != 1 || parsed.Minor() < OldestMinor {
		return field.ErrorList{field.Invalid(path, v, fmt.Sprintf("this provider runs Kubernetes v1.%d and later", OldestMinor))}
	}
	return nil
}

// VersionWarnings says whether a version is beyond what this release is tested with.
func VersionWarnings(path *field.Path, v string) []string {
	parsed, err := version.ParseSemantic(v)
	if err != nil || parsed.Minor() <= TestedMinor {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s is newer than v1.%d, the newest that this release of the provider is tested with", path, v, TestedMinor)}
}

// VersionChange checks the step from one Kubernetes version to another.
func VersionChange(path *field.Path, before, after string) field.ErrorList {
	b, errBefore := version.ParseSemantic(before)
	a, errAfter := version.ParseSemantic(after)
	if errBefore != nil || errAfter != nil {
		return nil // Version names it.
	}
	switch {
	case a.Minor() < b.Minor():
		return field.ErrorList{field.Invalid(path, after, fmt.Sprintf("is older than %s; a minor version never goes back, for stored objects may use what is newer", before))}
	case a.Minor() > b.Minor()+1:
		return field.ErrorList{field.Invalid(path, after, fmt.Sprintf("skips a minor version after %s; go to v1.%d first", before, b.Minor()+1))}
	default:
		return nil
	}
}
