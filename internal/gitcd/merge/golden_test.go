// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

var rewrite = flag.Bool("rewrite", false, "write the want sections anew; then read them")

// TestGolden merges the cases in testdata. A case says in words what it shows,
// then has the sections
//
//	names         optional: the key and the branches, as "key:", "ours:" and "theirs:"
//	base          the object, as YAML; none if there was no such key
//	ours, theirs  the object; or ours.patch, a merge patch of base; or none if it was deleted
//	want          the rule, the object, and the conflicts
//
// Each case is merged from both sides.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := parseCase(t, archive)
			got := c.merge(t)
			for i := range archive.Files {
				if archive.Files[i].Name != "want" {
					continue
				}
				if *rewrite {
					archive.Files[i].Data = []byte(got)
					if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(string(archive.Files[i].Data), got); diff != "" {
					t.Errorf("run with -rewrite if this is right\n%s", diff)
				}
				return
			}
			t.Error("no section want")
		})
	}
}

type golden struct {
	Key    string `json:"key"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`

	base, our, their []byte
}

func parseCase(t *testing.T, archive *txtar.Archive) golden {
	t.Helper()
	c := golden{Key: "/registry/things/default/x", Ours: "heavens/a", Theirs: "main"}
	sections := map[string][]byte{}
	for _, f := range archive.Files {
		sections[f.Name] = f.Data
	}
	if err := yaml.UnmarshalStrict(sections["names"], &c); err != nil {
		t.Fatal(err)
	}
	c.base = side(t, sections, "base")
	c.our, c.their = side(t, sections, "ours"), side(t, sections, "theirs")
	return c
}

func side(t *testing.T, sections map[string][]byte, name string) []byte {
	t.Helper()
	if text, ok := sections[name+".text"]; ok {
		return text
	}
	if patch, ok := sections[name+".patch"]; ok {
		var base, change any
		if err := yaml.Unmarshal(sections["base"], &base); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(patch, &change); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(mergePatch(base, change))
		if err != nil {
			t.Fatal(err)
		}
		return append(out, '\n')
	}
	text, ok := sections[name]
	if !ok {
		return nil
	}
	out, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// mergePatch is RFC 7386.
func mergePatch(base, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if b, ok := base.(map[string]any); ok {
		maps.Copy(out, b)
	}
	for name, v := range p {
		if v == nil {
			delete(out, name)
			continue
		}
		out[name] = mergePatch(out[name], v)
	}
	return out
}

// merge merges the case from both sides, and writes the outcome for people.
func (c golden) merge(t *testing.T) string {
	t.Helper()
	owners := merge.DefaultOwners()
	p := merge.Policy{Ours: c.Ours, Theirs: c.Theirs, Owner: owners.Owner}
	r := merge.Object(c.Key, c.base, c.our, c.their, p)
	checkSymmetric(t, c.Key, c.base, c.our, c.their, p)
	var out strings.Builder
	fmt.Fprintf(&out, "rule: %s", r.Rule)
	if r.Took != "" {
		fmt.Fprintf(&out, ", as in %s", branch(p, r.Took))
	}
	out.WriteByte('\n')
	switch {
	case r.Deleted:
		out.WriteString("deleted\n")
	case json.Valid(r.Value):
		text, err := yaml.JSONToYAML(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("--\n" + string(text) + "--\n")
	default:
		fmt.Fprintf(&out, "--\n%s--\n", r.Value)
	}
	for _, x := range r.Conflicts {
		fmt.Fprintf(&out, "conflict%s: %s wins, by %s\n", strings.TrimSuffix(" "+x.Path, " "), x.Branch, x.Why)
		for _, s := range []struct {
			name string
			v    merge.Value
		}{{"base", x.Base}, {c.Ours, x.Ours}, {c.Theirs, x.Theirs}} {
			switch {
			case x.Path != "" && s.v.JSON != nil:
				fmt.Fprintf(&out, "  %s: %s\n", s.name, s.v.JSON)
			case s.v.Blob.IsZero():
				fmt.Fprintf(&out, "  %s: no such key\n", s.name)
			case x.Path != "" && s.v.Hidden:
				fmt.Fprintf(&out, "  %s: hidden\n", s.name)
			case x.Path != "":
				fmt.Fprintf(&out, "  %s: none\n", s.name)
			}
		}
	}
	return out.String()
}

func branch(p merge.Policy, s merge.Side) string {
	if s == merge.Ours {
		return p.Ours
	}
	return p.Theirs
}

// failer is a testing.T or a rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkSymmetric merges with the sides swapped, and compares.
func checkSymmetric(t failer, key string, base, ours, theirs []byte, p merge.Policy) merge.Result {
	t.Helper()
	r := merge.Object(key, base, ours, theirs, p)
	swapped := p
	swapped.Ours, swapped.Theirs = p.Theirs, p.Ours
	s := merge.Object(key, base, theirs, ours, swapped)
	if !bytes.Equal(r.Value, s.Value) || r.Deleted != s.Deleted || r.Rule != s.Rule || len(r.Conflicts) != len(s.Conflicts) {
		t.Errorf("not symmetric:\nours %s\ntheirs %s\ngave %s %s %d\nand %s %s %d", ours, theirs, r.Rule, r.Value, len(r.Conflicts), s.Rule, s.Value, len(s.Conflicts))
		return r
	}
	for i, c := range r.Conflicts {
		d := s.Conflicts[i]
		d.Ours, d.Theirs = d.Theirs, d.Ours
		if p.Ours != p.Theirs {
			d.Took = map[merge.Side]merge.Side{merge.Ours: merge.Theirs, merge.Theirs: merge.Ours}[d.Took]
		} else {
			d.Took = c.Took
		}
		if diff := cmp.Diff(c, d); diff != "" {
			t.Errorf("conflicts are not symmetric: %s", diff)
		}
	}
	return r
}
