// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

const (
	gardenKey     = "/registry/example.org/gardens/default/x"
	definitionKey = "/registry/apiextensions.k8s.io/customresourcedefinitions/gardens.example.org"
)

// yamlObject returns a value as kube-apiserver would store it.
func yamlObject(t rapid.TB, text string) []byte {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// gardens is a definition whose beds merge as the text says.
func gardens(t rapid.TB, label, beds string) []byte {
	t.Helper()
	return yamlObject(t, fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gardens.example.org, uid: crd1, creationTimestamp: "2026-01-01T00:00:00Z", labels: {%s: x}}
spec:
  group: example.org
  names: {kind: Garden, plural: gardens}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              beds:
                type: array
                items: {type: object, required: [size], properties: {name: {type: string}, plants: {type: array, x-kubernetes-list-type: set, items: {type: string}}}}
                %s
  - name: v1alpha1
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {beds: {type: array}}}}}}
`, label, beds))
}

const byName = "x-kubernetes-list-type: map\n                x-kubernetes-list-map-keys: [name]"

func garden(t rapid.TB, version, beds string) []byte {
	t.Helper()
	return yamlObject(t, `
apiVersion: example.org/`+version+`
kind: Garden
metadata: {name: x, uid: u1, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {beds: `+beds+`}
`)
}

// planned merges trees from both sides, holds that they agree, and returns the merged values.
func planned(t *testing.T, s *store, base, ours, theirs map[string][]byte) (map[string][]byte, []merge.Conflict) {
	t.Helper()
	b := s.edit(t, gitobj.Zero, base)
	o, x := s.edit(t, gitobj.Zero, ours), s.edit(t, gitobj.Zero, theirs)
	p, err := merge.Plan(t.Context(), s, b, o, x, apart)
	if err != nil {
		t.Fatal(err)
	}
	q, err := merge.Plan(t.Context(), s, b, x, o, merge.Policy{Ours: apart.Theirs, Theirs: apart.Ours})
	if err != nil {
		t.Fatal(err)
	}
	here, there := s.apply(t, o, p.Changes), s.apply(t, x, q.Changes)
	if here != there {
		t.Errorf("not symmetric: %s", cmp.Diff(s.values(t, here), s.values(t, there)))
	}
	return s.values(t, here), p.Conflicts
}

// beds reads the beds of a garden, for people.
func beds(t *testing.T, value []byte) string {
	t.Helper()
	var g struct{ Spec struct{ Beds any } }
	if err := yaml.Unmarshal(value, &g); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(g.Spec.Beds)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(out), "\n", " ")), " ")
}

// TestDefinitions merges a custom resource by the definition in the same trees.
func TestDefinitions(t *testing.T) {
	const (
		base   = `[{name: a, size: 1, plants: [p]}]`
		ours   = `[{name: a, size: 2, plants: [p, q]}]`
		theirs = `[{name: a, size: 1, plants: [p, r]}, {name: b, size: 1}]`
		items  = "- name: a plants: - p - q - r size: 2 - name: b size: 1"
		whole  = "- name: a plants: - p - r size: 1 - name: b size: 1" // main's
	)
	keyed, plain := gardens(t, "a", byName), gardens(t, "a", "x-kubernetes-list-type: atomic")
	for _, c := range []struct {
		name               string
		base, ours, theirs []byte // definitions
		want               string
	}{
		{"the same on both sides", keyed, keyed, keyed, items},
		{"none", nil, nil, nil, whole},
		{"an atomic list", plain, plain, plain, whole},
		{"changed by one side, which counts", plain, keyed, plain, items},
		{"changed by the other", plain, plain, keyed, items},
		{"new on one side", nil, keyed, nil, items},
		{"gone on one side", keyed, nil, keyed, whole},
		{"changed by both: as merged", plain, gardens(t, "b", byName), gardens(t, "a", "x-kubernetes-list-type: atomic\n                nullable: true"), whole},
		{"both changed what is about it: as merged", keyed, gardens(t, "b", byName), gardens(t, "c", byName), items},
		{"created on both sides", nil, keyed, keyed, items},
		{"encrypted", []byte("k8s:enc:x"), []byte("k8s:enc:x"), []byte("k8s:enc:x"), whole},
		{"of a version that the object has not", keyed, keyed, keyed, whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			version := "v1"
			if strings.Contains(c.name, "version") {
				version = "v1alpha1"
			}
			trees := []map[string][]byte{
				{gardenKey: garden(t, version, base)}, {gardenKey: garden(t, version, ours)}, {gardenKey: garden(t, version, theirs)},
			}
			for i, definition := range [][]byte{c.base, c.ours, c.theirs} {
				if definition != nil {
					trees[i][definitionKey] = definition
				}
			}
			values, conflicts := planned(t, newStore(), trees[0], trees[1], trees[2])
			if got := beds(t, values[gardenKey]); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			lost := 0
			for _, conflict := range conflicts {
				if conflict.Key == gardenKey {
					lost++
				}
			}
			if want := map[string]int{items: 0, whole: 1}[c.want]; lost != want {
				t.Errorf("%d conflicts on record, want %d", lost, want)
			}
		})
	}
}

// TestDefinitionLimits holds that a mix that the definition forbids is none: one side's whole stands, on record.
func TestDefinitionLimits(t *testing.T) {
	for _, c := range []struct{ name, limit, base, ours, theirs, want, path string }{
		{
			"too many items", "maxItems: 3", `[{name: a, size: 1}, {name: b, size: 1}]`,
			`[{name: a, size: 1}, {name: b, size: 1}, {name: c, size: 1}]`, `[{name: a, size: 2}, {name: b, size: 1}, {name: d, size: 1}]`,
			"- name: a size: 2 - name: b size: 1 - name: d size: 1", ".spec.beds",
		},
		{
			"as many as there may be", "maxItems: 4", `[{name: a, size: 1}, {name: b, size: 1}]`,
			`[{name: a, size: 1}, {name: b, size: 1}, {name: c, size: 1}]`, `[{name: a, size: 2}, {name: b, size: 1}, {name: d, size: 1}]`,
			"- name: a size: 2 - name: b size: 1 - name: c size: 1 - name: d size: 1", "",
		},
		{
			"too few items", "minItems: 1", `[{name: a, size: 1}, {name: b, size: 1}]`, `[{name: a, size: 1}]`, `[{name: b, size: 1}]`,
			"- name: b size: 1", ".spec.beds",
		},
		{
			"too many on both sides already", "maxItems: 1", `[{name: a, size: 1}, {name: b, size: 1}]`,
			`[{name: a, size: 1}, {name: b, size: 1}, {name: c, size: 1}]`, `[{name: a, size: 2}, {name: b, size: 1}]`,
			"- name: a size: 2 - name: b size: 1 - name: c size: 1", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			definition := gardens(t, "a", byName+"\n                "+c.limit)
			tree := func(beds string) map[string][]byte {
				return map[string][]byte{definitionKey: definition, gardenKey: garden(t, "v1", beds)}
			}
			values, conflicts := planned(t, newStore(), tree(c.base), tree(c.ours), tree(c.theirs))
			if got := beds(t, values[gardenKey]); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			switch {
			case c.path == "" && len(conflicts) > 0,
				c.path != "" && (len(conflicts) != 1 || conflicts[0].Path != c.path):
				t.Errorf("conflicts %v, want one at %q", conflicts, c.path)
			}
		})
	}
}

// TestDefinitionsAreRemembered counts what merges read: a definition once, and
// none where no custom resource was changed on both sides.
func TestDefinitionsAreRemembered(t *testing.T) {
	s := newStore()
	tree := func(beds, other string) gitobj.ID {
		return s.edit(t, gitobj.Zero, map[string][]byte{
			definitionKey: gardens(t, "a", byName), gardenKey: garden(t, "v1", beds), gardenKey + "2": garden(t, "v1", other),
		})
	}
	base := s.commit(tree(`[{name: a, size: 1}]`, `[]`), 1)
	ours := s.commit(tree(`[{name: a, size: 2}]`, `[]`), 2, base)
	theirs := s.commit(tree(`[{name: a, size: 1}, {name: b, size: 1}]`, `[]`), 3, base)
	apart2 := s.commit(tree(`[{name: a, size: 1}]`, `[{name: c, size: 1}]`), 3, base)
	definition := s.blob(gardens(t, "a", byName))
	h := merge.NewHistory(s)
	reads := func(theirs gitobj.ID) int {
		s.watch, s.watched = definition, 0
		m, err := h.Merge(t.Context(), ours, theirs, apart)
		if err != nil || len(m.Conflicts) > 0 {
			t.Fatal(err, m.Conflicts)
		}
		return s.watched
	}
	if n := reads(apart2); n != 0 {
		t.Errorf("read %d times, though no custom resource was merged", n)
	}
	if first, again := reads(theirs), reads(theirs); first != 1 || again != 0 {
		t.Errorf("read %d times, then %d; want once", first, again)
	}
}
