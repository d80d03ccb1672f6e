// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

func TestDefault(t *testing.T) {
	pod := schema.Type{APIVersion: "v1", Kind: "Pod"}
	lease := schema.Type{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}
	conditions := schema.Field{Shape: schema.KeyedList, Keys: []string{"type"}, Required: []string{"type", "status"}, Unit: true}
	for _, c := range []struct {
		name string
		typ  schema.Type
		path schema.Path
		want schema.Field
	}{
		{"the object", pod, nil, schema.Field{Shape: schema.Map}},
		{"finalizers", pod, schema.Path{"metadata", "finalizers"}, schema.Field{Shape: schema.Set}},
		{"finalizers deep down", pod, schema.Path{"spec", "template", "metadata", "finalizers"}, schema.Field{}},
		{"finalizers in a spec", pod, schema.Path{"spec", "finalizers"}, schema.Field{}},
		{"finalizers of a namespace", schema.Type{APIVersion: "v1", Kind: "Namespace"}, schema.Path{"spec", "finalizers"}, schema.Field{Shape: schema.Set}},
		{"another group's namespace", schema.Type{APIVersion: "x/v1", Kind: "Namespace"}, schema.Path{"spec", "finalizers"}, schema.Field{}},
		{"conditions", pod, schema.Path{"status", "conditions"}, conditions},
		{"conditions deep down", pod, schema.Path{"status", "parents", schema.Item, "conditions"}, conditions},
		{"a label named conditions", pod, schema.Path{"metadata", "labels", "conditions"}, schema.Field{}},
		{"a lease", lease, schema.Path{"spec"}, schema.Field{Shape: schema.Atomic}},
		{"a pod's spec", pod, schema.Path{"spec"}, schema.Field{}},
		{"a claimRef", pod, schema.Path{"spec", "claimRef"}, schema.Field{Shape: schema.Atomic}},
		{"containers", pod, schema.Path{"spec", "containers"}, schema.Field{Shape: schema.KeyedList, Keys: []string{"name"}, Ordered: true}},
	} {
		if diff := cmp.Diff(c.want, schema.Default{}.Lookup(c.typ, c.path)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
