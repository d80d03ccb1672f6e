// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gardens.example.org}
spec:
  group: example.org
  names: {kind: Garden, plural: gardens}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          metadata: {type: object, maxProperties: 3}
          spec:
            type: object
            required: [beds]
            properties:
              beds:
                type: array
                maxItems: 3
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name, side]
                items:
                  type: object
                  properties:
                    name: {type: string}
                    side: {type: string, default: North}
                    plants: {type: array, x-kubernetes-list-type: set, items: {type: string}}
                    notes: {type: array, items: {type: string}}
              tools: {type: array, x-kubernetes-list-type: atomic, items: {type: string}}
              refs:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [id]
                items: {type: object, x-kubernetes-map-type: atomic, properties: {id: {type: integer, default: 1}}}
              gate: {type: object, x-kubernetes-map-type: atomic, properties: {a: {type: string}}}
              byName:
                type: object
                additionalProperties: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              anything: {type: object, x-kubernetes-preserve-unknown-fields: true}
              pod:
                type: object
                x-kubernetes-embedded-resource: true
                x-kubernetes-preserve-unknown-fields: true
              water:
                type: object
                minProperties: 1
                maxProperties: 2
                oneOf: [{required: [hose]}, {required: [can]}]
              odd:
                type: object
                oneOf: [{required: [hose]}, {properties: {can: {minimum: 1}}}]
          status:
            type: object
            properties:
              conditions:
                type: array
                maxItems: 8
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [type]
                items: {type: object, properties: {type: {type: string}}}
  - name: v1alpha1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {beds: {type: array, items: {type: object}}}}
`

func custom(t *testing.T, text string) *schema.Custom {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := schema.NewCustom(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCustom(t *testing.T) {
	v1 := schema.Type{APIVersion: "example.org/v1", Kind: "Garden"}
	alpha := schema.Type{APIVersion: "example.org/v1alpha1", Kind: "Garden"}
	atomic, set := schema.Field{Shape: schema.Atomic}, schema.Field{Shape: schema.Set, Ordered: true}
	s := schema.Layers{schema.Default{}, custom(t, definition)}
	for _, c := range []struct {
		typ  schema.Type
		path string
		want schema.Field
	}{
		{v1, "spec", schema.Field{Limits: &schema.Limits{Required: []string{"beds"}}}},
		{v1, "spec/beds", schema.Field{
			Shape: schema.KeyedList, Keys: []string{"name", "side"}, Ordered: true,
			Defaults: map[string]string{"side": `"North"`}, Limits: &schema.Limits{MaxItems: 3},
		}},
		{v1, "spec/beds/[]/plants", set},
		{v1, "spec/beds/[]/notes", atomic},
		{v1, "spec/tools", atomic},
		{v1, "spec/refs", schema.Field{Shape: schema.KeyedList, Keys: []string{"id"}, Ordered: true, Unit: true, Defaults: map[string]string{"id": "1"}}},
		{v1, "spec/gate", atomic},
		{v1, "spec/byName", schema.Field{}},
		{v1, "spec/byName/conifers", set},
		{v1, "spec/anything", schema.Field{}},
		{v1, "spec/anything/spec/list", schema.Field{}},
		{v1, "spec/pod/metadata/finalizers", set},
		{v1, "spec/pod/metadata/ownerReferences", schema.Field{Shape: schema.KeyedList, Keys: []string{"uid"}, Ordered: true, Unit: true}},
		{v1, "spec/pod/spec/containers", schema.Field{}},
		{v1, "spec/water", schema.Field{Limits: &schema.Limits{MinFields: 1, MaxFields: 2, OneOf: [][]string{{"hose", "can"}}}}},
		{v1, "spec/odd", schema.Field{}},
		{v1, "spec/[]", schema.Field{}},
		// The rules for all kinds are stronger, but the limits count.
		{v1, "metadata", schema.Field{Shape: schema.Map}},
		{v1, "metadata/finalizers", schema.Field{Shape: schema.Set}},
		{v1, "status/conditions", schema.Field{
			Shape: schema.KeyedList, Keys: []string{"type"}, Required: []string{"type", "status"}, Unit: true, Limits: &schema.Limits{MaxItems: 8},
		}},
		{alpha, "spec/beds", atomic},
		{schema.Type{APIVersion: "example.org/v2", Kind: "Garden"}, "spec/beds", schema.Field{}},
		{schema.Type{APIVersion: "example.org/v1", Kind: "Yard"}, "spec/beds", schema.Field{}},
		{schema.Type{APIVersion: "example.com/v1", Kind: "Garden"}, "spec/beds", schema.Field{}},
	} {
		if diff := cmp.Diff(c.want, s.Lookup(c.typ, strings.Split(c.path, "/"))); diff != "" {
			t.Errorf("%s %s: %s", c.typ.APIVersion, c.path, diff)
		}
	}
}

// TestNoCustom holds that what is no definition is an error, not a schema.
func TestNoCustom(t *testing.T) {
	for _, text := range []string{
		"", "x", "k8s:enc:aescbc:v1:key1:x", "[]", "{}", "null",
		`{"apiVersion":"apiextensions.k8s.io/v1beta1","kind":"CustomResourceDefinition"}`,
		`{"apiVersion":"v1","kind":"ConfigMap"}`,
		`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":7}}`,
	} {
		if _, err := schema.NewCustom([]byte(text)); err == nil {
			t.Errorf("%q is taken for a definition", text)
		}
	}
}

// FuzzCustom holds that no definition brings a merge down.
func FuzzCustom(f *testing.F) {
	data, err := yaml.YAMLToJSON([]byte(definition))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, "spec/beds/[]/plants")
	f.Add([]byte(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"group":"example.org","names":{"kind":"Garden"},
		"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"properties":{"spec":null},"additionalProperties":true,"oneOf":[null,{}]}}}]}}`), "spec")
	f.Fuzz(func(t *testing.T, definition []byte, path string) {
		c, err := schema.NewCustom(definition)
		if err != nil {
			return
		}
		p := strings.Split(path, "/")
		typ := schema.Type{APIVersion: "example.org/v1", Kind: "Garden"}
		first := c.Lookup(typ, p)
		if diff := cmp.Diff(first, c.Lookup(typ, p)); diff != "" {
			t.Errorf("not pure: %s", diff)
		}
		if first.Shape == schema.KeyedList && len(first.Keys) == 0 {
			t.Error("a keyed list without keys")
		}
	})
}

func BenchmarkNewCustom(b *testing.B) {
	data, err := yaml.YAMLToJSON([]byte(definition))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schema.NewCustom(data); err != nil {
			b.Fatal(err)
		}
	}
}
