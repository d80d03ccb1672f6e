// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

var rewrite = flag.Bool("rewrite", false, "write docs/api.md anew")

const referenceBegins = "## Every field\n"

// foreign are fields of Kubernetes' own types, which are described elsewhere.
var foreign = []string{"resources", "taints", "conditions"}

// TestDocsNameEveryField compares the reference in docs/api.md with the definitions; -rewrite writes it.
func TestDocsNameEveryField(t *testing.T) {
	t.Parallel()
	const file = "../docs/api.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(b), referenceBegins)
	if !ok {
		t.Fatalf("%s has no line %q", file, referenceBegins)
	}
	want := head + referenceBegins + reference(definitions(t))
	if want == string(b) {
		return
	}
	if !*rewrite {
		t.Fatalf("%s does not name every field as it is; run: go test ./config -run TestDocs -rewrite", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func reference(crds map[string]*apiextensionsv1.CustomResourceDefinition) string {
	w := &strings.Builder{}
	for _, kind := range slices.Sorted(maps.Keys(crds)) {
		if strings.HasSuffix(kind, "Template") {
			continue // They hold what their kind's spec holds.
		}
		fmt.Fprintf(w, "\n### %s\n\n| field | type | meaning |\n| --- | --- | --- |\n", kind)
		root := crds[kind].Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, part := range []string{"spec", "status"} {
			s := root.Properties[part]
			fields(w, part, &s)
		}
	}
	return w.String()
}

func fields(w *strings.Builder, path string, s *apiextensionsv1.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		at := path + "." + name
		meaning := strings.Join(strings.Fields(p.Description), " ")
		if slices.Contains(s.Required, name) {
			meaning = "**Required.** " + meaning
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", at, typeOf(&p), strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(meaning))
		switch {
		case slices.Contains(foreign, name):
		case p.Type == "array" && p.Items != nil:
			fields(w, at+"[]", p.Items.Schema)
		default:
			fields(w, at, &p)
		}
	}
}

func typeOf(p *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case len(p.Enum) > 0:
		values := make([]string, 0, len(p.Enum))
		for _, e := range p.Enum {
			values = append(values, strings.Trim(string(e.Raw), `"`))
		}
		return strings.Join(values, ", ")
	case p.XIntOrString:
		return "quantity"
	case p.Type == "array":
		return "list of " + typeOf(p.Items.Schema)
	case p.AdditionalProperties != nil:
		return "map"
	case p.Format == "date-time":
		return "time"
	default:
		return p.Type
	}
}
