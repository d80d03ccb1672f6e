// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

var apart = merge.Policy{Ours: "heavens/a", Theirs: "main"}

// TestM5Exact holds numbers, the order of fields and the bytes of a side.
func TestM5Exact(t *testing.T) {
	const head = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","uid":"u1"`
	for _, c := range []struct{ name, base, ours, theirs, want string }{
		{
			"numbers keep their text, fields their order",
			head + `},"z":1,"n":12345678901234567890.10e+3,"a":1}`,
			head + `},"z":2,"n":12345678901234567890.10e+3,"a":1}`,
			head + `},"z":1,"n":12345678901234567890.10e+3,"a":2}`,
			head + `},"z":2,"n":12345678901234567890.10e+3,"a":2}`,
		},
		{
			"a new field follows the field that it followed",
			head + `},"z":1,"y":1}`,
			head + `},"z":1,"y":1,"n":3}`,
			head + `},"z":1,"k":2,"y":1}`,
			head + `},"z":1,"k":2,"y":1,"n":3}`,
		},
		{
			"a side that is meant is taken byte for byte, its odd spelling too",
			head + `},"a":1}`,
			head + `},"a":"\u00e9<","b":1 }`,
			head + `},"a":"` + "\u00e9" + `\u003c"}`,
			head + `},"a":"\u00e9<","b":1 }`,
		},
		{
			"strings are written as kube-apiserver writes them",
			head + `},"a":"\u003cb\u003e","b":1,"c":1}`,
			head + `},"a":"\u003cb\u003e","b":2,"c":1}`,
			head + `},"a":"\u003cb\u003e","b":1,"c":2}`,
			head + `},"a":"\u003cb\u003e","b":2,"c":2}`,
		},
		{
			"a newline behind both sides is kept",
			head + `},"a":1,"b":1}`, head + `},"a":2,"b":1}` + "\n", head + `},"a":1,"b":2}` + "\n", head + `},"a":2,"b":2}` + "\n",
		},
		{
			"a newline behind one side is not",
			head + `},"a":1,"b":1}`, head + `},"a":2,"b":1}` + "\n", head + `},"a":1,"b":2}`, head + `},"a":2,"b":2}`,
		},
	} {
		r := checkSymmetric(t, "/k", []byte(c.base), []byte(c.ours), []byte(c.theirs), apart)
		if diff := cmp.Diff(c.want, string(r.Value)); diff != "" || len(r.Conflicts) > 0 {
			t.Errorf("%s: %s %v", c.name, diff, r.Conflicts)
		}
	}
}

// TestOpaque holds that what would not come back exactly is not taken apart.
func TestOpaque(t *testing.T) {
	const head = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","uid":"u1"}`
	for name, odd := range map[string]string{
		"a name that comes twice": head + `,"a":1,"a":2}`,
		"half a surrogate pair":   head + `,"a":"\ud800"}`,
		"invalid UTF-8":           head + `,"a":"` + "\xff" + `"}`,
		"more behind the end":     head + `} {}`,
		"cut short":               head,
		"too deep":                head + `,"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"no uid, no kind":         `{"metadata":{}}`,
		"metadata is a list":      `{"kind":"K","apiVersion":"v1","metadata":[]}`,
		"not JSON":                "x",
		"nothing":                 "",
	} {
		for _, base := range [][]byte{nil, []byte(head + "}")} {
			r := checkSymmetric(t, "/k", base, []byte(odd), []byte(head+`,"b":1}`), apart)
			if r.Rule != merge.Opaque || len(r.Conflicts) != 1 || r.Took == "" {
				t.Errorf("%s: decided by %s, %d conflicts", name, r.Rule, len(r.Conflicts))
			}
		}
	}
}

// edits are the kinds of edit of the matrix. Each leaves a token of its side, if it is one that leaves something.
var edits = []struct {
	name string
	make func(o map[string]any, token string) map[string]any
}{
	{"none", func(o map[string]any, _ string) map[string]any { return o }},
	{"label", func(o map[string]any, token string) map[string]any {
		return put(o, token, "metadata", "labels", token)
	}},
	{"spec", func(o map[string]any, token string) map[string]any {
		return put(o, token, "spec", "same")
	}},
	{"spec field", func(o map[string]any, token string) map[string]any {
		return put(o, token, "spec", token)
	}},
	{"status", func(o map[string]any, token string) map[string]any {
		return put(o, token, "status", "same")
	}},
	{"condition", func(o map[string]any, token string) map[string]any {
		return put(o, []any{map[string]any{"type": "Ready", "status": "True", "reason": token}}, "status", "conditions")
	}},
	{"new condition", func(o map[string]any, token string) map[string]any {
		return put(o, []any{
			map[string]any{"type": "Ready", "status": "False", "reason": "Base"},
			map[string]any{"type": token, "status": "True"},
		}, "status", "conditions")
	}},
	{"finalizer", func(o map[string]any, token string) map[string]any {
		return put(o, []any{"base", token}, "metadata", "finalizers")
	}},
	{"no finalizer", func(o map[string]any, _ string) map[string]any {
		return put(o, nil, "metadata", "finalizers")
	}},
	{"owner", func(o map[string]any, token string) map[string]any {
		return put(o, []any{map[string]any{"uid": token, "controller": true}}, "metadata", "ownerReferences")
	}},
	{"deleting", func(o map[string]any, _ string) map[string]any {
		return put(put(o, "2026-02-01T00:00:00Z", "metadata", "deletionTimestamp"), 0, "metadata", "deletionGracePeriodSeconds")
	}},
	{"recreate", func(o map[string]any, token string) map[string]any {
		return put(o, token, "metadata", "uid")
	}},
	{"delete", func(map[string]any, string) map[string]any { return nil }},
}

// put returns a copy of an object with a value at a path; nil removes it.
func put(o map[string]any, v any, names ...string) map[string]any {
	out := map[string]any{}
	maps.Copy(out, o)
	if len(names) > 1 {
		below, _ := out[names[0]].(map[string]any)
		out[names[0]] = put(below, v, names[1:]...)
		return out
	}
	out[names[0]] = v
	if v == nil {
		delete(out, names[0])
	}
	return out
}

func encode(t rapid.TB, o map[string]any) []byte {
	t.Helper()
	if o == nil {
		return nil
	}
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func thing() map[string]any {
	return map[string]any{
		"apiVersion": "example.org/v1", "kind": "Thing",
		"metadata": map[string]any{
			"name": "x", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": []any{"base"}, "generation": 1,
		},
		"spec":   map[string]any{"same": "base"},
		"status": map[string]any{"same": "base", "conditions": []any{map[string]any{"type": "Ready", "status": "False", "reason": "Base"}}},
	}
}

// TestMatrix merges every kind of edit with every kind of edit, and compares
// with a table that a person can read. A cell is the rule for the key, whose
// edits are in the result (O for ours, T for theirs), and the rules of conflicts.
func TestMatrix(t *testing.T) {
	base := thing()
	var out strings.Builder
	for _, x := range edits {
		for _, y := range edits {
			ours, theirs := encode(t, x.make(base, "ours-token")), encode(t, y.make(base, "theirs-token"))
			r := checkSymmetric(t, "/k", encode(t, base), ours, theirs, apart)
			has := ""
			if bytes.Contains(r.Value, []byte("ours-token")) {
				has += "O"
			}
			if bytes.Contains(r.Value, []byte("theirs-token")) {
				has += "T"
			}
			fmt.Fprintf(&out, "%-14s %-14s %-18s %-2s", x.name, y.name, r.Rule, has)
			for _, c := range r.Conflicts {
				fmt.Fprintf(&out, " %s%s", c.Why, c.Path)
			}
			out.WriteByte('\n')
		}
		out.WriteByte('\n')
	}
	const file = "testdata/matrix.txt"
	got := strings.ReplaceAll(out.String(), " \n", "\n")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run with -rewrite if this is right\n%s", diff)
	}
}

// randomEdits makes some edits to an object, deletion and re-creation included.
func randomEdits(t *rapid.T, o map[string]any, who string) map[string]any {
	for i := range rapid.IntRange(0, 4).Draw(t, "edits of "+who) {
		if o == nil {
			return nil
		}
		token := fmt.Sprintf("%s-%d", rapid.SampledFrom([]string{who, "shared"}).Draw(t, "token"), i)
		edit := edits[rapid.IntRange(0, len(edits)-1).Draw(t, "edit")]
		if edit.name == "recreate" {
			token = fmt.Sprintf("%s-%d", who, i) // no two creations have the same uid
		}
		o = edit.make(o, token)
		if o != nil && rapid.Bool().Draw(t, "generation") {
			o = put(o, rapid.IntRange(1, 9).Draw(t, "number"), "metadata", "generation")
		}
	}
	return o
}

// TestLaws holds what every merge must keep, whatever the objects.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := randomEdits(t, thing(), "base")
		base, ours, theirs := encode(t, start), encode(t, randomEdits(t, start, "ours")), encode(t, randomEdits(t, start, "theirs"))
		p := rapid.SampledFrom([]merge.Policy{
			apart,
			{Ours: "heavens/a", Theirs: "heavens/b"},
			{Ours: "x", Theirs: "x"},
			{Ours: "heavens/a", Theirs: "main", Owner: func(_, path string) string {
				if strings.HasPrefix(path, ".spec") {
					return "heavens/a"
				}
				return ""
			}},
		}).Draw(t, "policy")
		r := checkSymmetric(t, "/k", base, ours, theirs, p) // M1
		same := func(law string, got merge.Result, want []byte) {
			if !bytes.Equal(got.Value, want) || got.Deleted != (want == nil) || len(got.Conflicts) > 0 {
				t.Fatalf("%s: %s gives %s, %v", law, want, got.Value, got.Conflicts)
			}
		}
		same("M2: the same change is that change", merge.Object("/k", base, ours, ours, p), ours)
		same("M2: an unchanged side yields", merge.Object("/k", base, base, theirs, p), theirs)
		same("M2: an unchanged side yields", merge.Object("/k", base, ours, base, p), ours)
		same("M2: what was merged is merged", merge.Object("/k", ours, r.Value, ours, p), r.Value)
		if r.Rule == merge.Fields {
			checkNothingSilent(t, base, ours, theirs, r)
			checkControllers(t, r)
			checkGeneration(t, ours, theirs, r)
		}
	})
}

// checkNothingSilent looks for each leaf that a side changed: it is as the side has it, or in a conflict (law M3).
func checkNothingSilent(t *rapid.T, base, ours, theirs []byte, r merge.Result) {
	t.Helper()
	was, is := leaves(t, base), leaves(t, r.Value)
	for name, data := range map[string][]byte{"ours": ours, "theirs": theirs} {
		side := leaves(t, data)
		for path := range merged(was, side) {
			if side[path] == was[path] || side[path] == is[path] || strings.HasPrefix(path, ".metadata.generation") ||
				strings.HasPrefix(path, ".metadata.deletion") {
				continue
			}
			covered := false
			for _, c := range r.Conflicts {
				covered = covered || strings.HasPrefix(path, c.Path)
			}
			if !covered {
				t.Fatalf("%s changed %s from %q to %q; the result has %q, and no conflict says so\n%s\n%s\n%s\n%s",
					name, path, was[path], side[path], is[path], base, ours, theirs, r.Value)
			}
		}
	}
}

func merged(a, b map[string]string) map[string]bool {
	out := map[string]bool{}
	for path := range a {
		out[path] = true
	}
	for path := range b {
		out[path] = true
	}
	return out
}

// leaves returns the scalars of an object by path, items by what tells them apart.
func leaves(t *rapid.T, data []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	if data == nil {
		return out
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, below := range v {
				if strings.HasPrefix(path+"."+name, ".metadata.labels.") {
					name = strings.ReplaceAll(name, ".", "_")
				}
				walk(path+"."+name, below)
			}
		case []any:
			for _, item := range v {
				switch item := item.(type) {
				case map[string]any:
					for _, id := range []string{"type", "uid"} {
						if item[id] != nil {
							walk(fmt.Sprintf("%s[%s=%q]", path, id, item[id]), item)
						}
					}
				default:
					walk(fmt.Sprintf("%s[=%q]", path, item), item)
				}
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return out
}

func checkControllers(t *rapid.T, r merge.Result) {
	t.Helper()
	if n := bytes.Count(r.Value, []byte(`"controller":true`)); n > 1 {
		t.Fatalf("%d controllers: %s", n, r.Value)
	}
}

func checkGeneration(t *rapid.T, ours, theirs []byte, r merge.Result) {
	t.Helper()
	type object struct {
		Metadata struct{ Generation int64 }
		Spec     any
	}
	read := func(data []byte) (o object) {
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	m := read(r.Value)
	for _, side := range []object{read(ours), read(theirs)} {
		sameSpec := cmp.Equal(m.Spec, side.Spec)
		if m.Metadata.Generation < side.Metadata.Generation || m.Metadata.Generation == side.Metadata.Generation && !sameSpec {
			t.Fatalf("generation %d, a side had %d, same spec: %v", m.Metadata.Generation, side.Metadata.Generation, sameSpec)
		}
	}
}

// FuzzObject holds that no bytes bring a merge down, and that it is symmetric.
func FuzzObject(f *testing.F) {
	base, err := json.Marshal(thing())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(base, base, base)
	f.Add(base, []byte(nil), []byte("k8s\x00"))
	f.Add([]byte(`{"kind":"K","apiVersion":"v1","metadata":{}}`),
		[]byte(`{"kind":"K","apiVersion":"v1","metadata":{"managedFields":[{"manager":"m","operation":"Update","fieldsV1":{"f:a":{},"k:{\"a\":1}":{}}}]},"a":1}`),
		[]byte(`{"kind":"K","apiVersion":"v1","metadata":{"managedFields":[{"manager":"m","operation":"Update","fieldsV1":{"v:1":{},"i:0":{}}}]},"b":[1]}`))
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) {
		checkSymmetric(t, "/k", base, ours, theirs, apart)
	})
}
