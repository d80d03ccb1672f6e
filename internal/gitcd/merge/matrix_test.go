// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// TestMatrixOfKinds merges every kind of edit of an object with every other.
// The files in testdata/matrix have the object, the edits as merge patches, and
// the outcome. $S and $N in an edit are a word and a number of the side; an
// edit without one says by what it is known to be in the result, "has:" or
// "gone:". All cells are also held against the laws: M1, M2, M3 and those of
// the fields.
func TestMatrixOfKinds(t *testing.T) {
	files, err := filepath.Glob("testdata/matrix/*.txtar")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d matrices: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := parseMatrix(t, archive)
			got := m.run(t)
			want := &archive.Files[len(archive.Files)-1]
			if *rewrite {
				want.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("run with -rewrite if this is right\n%s", diff)
			}
		})
	}
}

type matrix struct {
	key    string
	base   any
	edits  []matrixEdit
	policy merge.Policy
}

type matrixEdit struct {
	name  string
	patch string
}

// matrices returns the matrices of all kinds.
func matrices(t rapid.TB) []matrix {
	t.Helper()
	files, err := filepath.Glob("testdata/matrix/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var out []matrix
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, parseMatrix(t, archive))
	}
	return out
}

func parseMatrix(t rapid.TB, archive *txtar.Archive) matrix {
	t.Helper()
	owners := merge.DefaultOwners()
	m := matrix{policy: merge.Policy{Ours: "heavens/a", Theirs: "main", Owner: owners.Owner}}
	for _, f := range archive.Files {
		text := strings.TrimSpace(string(f.Data))
		name, isEdit := strings.CutPrefix(f.Name, "edit ")
		switch {
		case isEdit:
			m.edits = append(m.edits, matrixEdit{name, text})
		case f.Name == "key":
			m.key = text
		case f.Name == "ours":
			m.policy.Ours = text
		case f.Name == "definition":
			definition, err := yaml.YAMLToJSONStrict(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			custom, err := schema.NewCustom(definition)
			if err != nil {
				t.Fatal(err)
			}
			m.policy.Schema = schema.Layers{schema.Default{}, custom}
		case f.Name == "base":
			if err := yaml.UnmarshalStrict(f.Data, &m.base); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// on makes the edit for a side, and returns how to see that it is in a result.
func (e matrixEdit) on(t rapid.TB, base any, word, number string) (value []byte, in func([]byte) bool) {
	t.Helper()
	text := strings.NewReplacer("$S", word, "$N", number).Replace(e.patch)
	if text == "null" {
		return nil, func(result []byte) bool { return result == nil }
	}
	var patch any
	if err := yaml.Unmarshal([]byte(text), &patch); err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	value, err := json.Marshal(mergePatch(base, patch))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if has, ok := strings.CutPrefix(line, "# has: "); ok {
			return value, func(result []byte) bool { return bytes.Contains(result, []byte(has)) }
		}
		if gone, ok := strings.CutPrefix(line, "# gone: "); ok {
			return value, func(result []byte) bool { return result != nil && !bytes.Contains(result, []byte(gone)) }
		}
	}
	token := word
	if !strings.Contains(e.patch, "$S") {
		token = number
	}
	return value, func(result []byte) bool { return bytes.Contains(result, []byte(token)) }
}

const matrixLegend = `O and T say whose edit is in the result: ours (the row's), theirs (the column's). Before them, the rule for the object:
d deleted, k kept for its finalizer, x deletion finished, r recreated, c created twice. "!" says that a conflict is on record.

`

// run returns the outcome of all cells for people.
func (m matrix) run(t *testing.T) string {
	t.Helper()
	var grid, list strings.Builder
	grid.WriteString(matrixLegend + strings.Repeat(" ", 22))
	for i := range m.edits {
		fmt.Fprintf(&grid, "%-5d", i+1)
	}
	grid.WriteByte('\n')
	for i, x := range m.edits {
		fmt.Fprintf(&grid, "%2d %-18s ", i+1, x.name)
		for k, y := range m.edits {
			cell, conflicts := m.cell(t, x, y)
			fmt.Fprintf(&grid, "%-5s", cell)
			if k >= i && conflicts != "" {
				fmt.Fprintf(&list, "%s + %s: %s\n", x.name, y.name, conflicts)
			}
		}
		grid.WriteByte('\n')
	}
	created := func(word string) []byte {
		value, _ := matrixEdit{patch: `metadata: {uid: "$S", labels: {new: "$S"}}`}.on(t, m.base, word, "")
		return value
	}
	r := checkSymmetric(t, m.key, nil, created("o1o"), created("t2t"), m.policy)
	fmt.Fprintf(&list, "create + create: %s %s\n", r.Rule, taken(r.Took))
	out := grid.String() + "\n" + list.String()
	return strings.ReplaceAll(strings.ReplaceAll(out, "  \n", "\n"), " \n", "\n")
}

// cell merges two edits, and holds the result against the laws.
func (m matrix) cell(t *testing.T, x, y matrixEdit) (cell, conflicts string) {
	t.Helper()
	base, err := json.Marshal(m.base)
	if err != nil {
		t.Fatal(err)
	}
	ours, oursIn := x.on(t, m.base, "o1o", "71")
	theirs, theirsIn := y.on(t, m.base, "t2t", "82")
	r := checkSymmetric(t, m.key, base, ours, theirs, m.policy)
	name := x.name + " + " + y.name
	cell = map[merge.Rule]string{
		merge.Deleted: "d", merge.Finalized: "k", merge.Finished: "x", merge.Recreated: "r", merge.CreatedBoth: "c",
	}[r.Rule]
	value := r.Value
	if r.Deleted {
		value = nil
	}
	for _, c := range r.Conflicts {
		if c.Path != "" { // of whole objects, the letters say it all
			conflicts += fmt.Sprintf(", %s by %s %s", c.Path, c.Why, taken(c.Took))
		}
	}
	for _, s := range []struct {
		letter string
		in     bool
		value  []byte
		edit   matrixEdit
	}{{"O", oursIn(value), ours, x}, {"T", theirsIn(value), theirs, y}} {
		if s.in {
			cell += s.letter
			continue
		}
		// M3: an edit that is not in the result is on record, or it is one that goes with a deletion.
		quiet := r.Rule == merge.Deleted || r.Rule == merge.Finished || r.Rule == merge.Recreated && s.value == nil
		if len(r.Conflicts) == 0 && !quiet && !strings.Contains(s.edit.patch, "gone") {
			t.Errorf("%s: %s is lost without a record: %s", name, s.edit.name, value)
		}
	}
	if cell == "" {
		cell = "-"
	}
	if len(r.Conflicts) > 0 {
		cell += "!"
	}
	if again := merge.Object(m.key, ours, value, ours, m.policy); !bytes.Equal(again.Value, value) { // M2
		t.Errorf("%s: merged again: %s", name, again.Value)
	}
	if law := broken(t, value); law != "" {
		t.Errorf("%s: %s: %s", name, law, value)
	}
	return cell, strings.TrimPrefix(conflicts, ", ")
}

func taken(s merge.Side) string {
	if s == merge.Ours {
		return "-> O"
	}
	return "-> T"
}

// broken says which of the laws that hold for every object an object breaks.
func broken(t rapid.TB, value []byte) string {
	t.Helper()
	if value == nil {
		return ""
	}
	type named struct{ Name, Type, UID string }
	var o struct {
		Metadata struct {
			Generation      int64
			OwnerReferences []struct{ Controller bool }
		}
		Spec struct {
			NodeName   string
			PodCIDR    string
			PodCIDRs   []string
			Containers []named
			ClusterIP  string
			ClusterIPs []string
		}
		Status struct {
			ObservedGeneration int64
			Conditions         []struct{ Type, Status string }
		}
	}
	if err := json.Unmarshal(value, &o); err != nil {
		t.Fatal(err)
	}
	if o.Status.ObservedGeneration > o.Metadata.Generation {
		return fmt.Sprintf("observed generation %d of %d", o.Status.ObservedGeneration, o.Metadata.Generation)
	}
	controllers := 0
	for _, ref := range o.Metadata.OwnerReferences {
		if ref.Controller {
			controllers++
		}
	}
	if controllers > 1 {
		return fmt.Sprintf("%d controllers", controllers)
	}
	seen := map[string]bool{}
	for _, c := range o.Status.Conditions {
		if seen[c.Type] {
			return "condition " + c.Type + " comes twice"
		}
		seen[c.Type] = true
		if c.Type == "PodScheduled" && (c.Status == "True") != (o.Spec.NodeName != "") {
			return fmt.Sprintf("PodScheduled is %s on node %q", c.Status, o.Spec.NodeName)
		}
	}
	if len(o.Spec.PodCIDRs) > 0 && o.Spec.PodCIDRs[0] != o.Spec.PodCIDR || len(o.Spec.ClusterIPs) > 0 && o.Spec.ClusterIPs[0] != o.Spec.ClusterIP {
		return "the first of a list is not the single one"
	}
	return ""
}

// checkKind lets both sides make any edits, one after the other, of an object
// that was edited before, and holds the outcome against the laws.
func checkKind(kinds []matrix) func(t *rapid.T) {
	return func(t *rapid.T) {
		m := kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")]
		edited := func(who string, start []byte) []byte {
			for i := range rapid.IntRange(0, 5).Draw(t, "edits of "+who) {
				if start == nil {
					return nil
				}
				var o any
				if err := json.Unmarshal(start, &o); err != nil {
					t.Fatal(err)
				}
				edit := rapid.SampledFrom(m.edits).Draw(t, "edit")
				word := fmt.Sprintf("%s%d", rapid.SampledFrom([]string{who, "shared"}).Draw(t, "word"), i)
				if edit.name == "recreate" {
					word = fmt.Sprintf("%s%d", who, i) // no two creations have the same uid
				}
				start, _ = edit.on(t, o, word, fmt.Sprint(71+i))
			}
			return start
		}
		start, err := json.Marshal(m.base)
		if err != nil {
			t.Fatal(err)
		}
		base := edited("base", start)
		ours, theirs := edited("ours", base), edited("theirs", base)
		p := m.policy
		p.Ours = rapid.SampledFrom([]string{p.Ours, "heavens/z", "main"}).Draw(t, "ours")
		r := checkSymmetric(t, m.key, base, ours, theirs, p)
		if again := merge.Object(m.key, ours, r.Value, ours, p); !bytes.Equal(again.Value, r.Value) {
			t.Fatalf("merged again: %s", again.Value)
		}
		if again := merge.Object(m.key, r.Value, r.Value, theirs, p); !bytes.Equal(again.Value, theirs) {
			t.Fatalf("an unchanged side does not yield: %s", again.Value)
		}
		if law := broken(t, r.Value); law != "" && broken(t, ours) == "" && broken(t, theirs) == "" {
			t.Fatalf("%s: %s\n%s\n%s\n%s", law, base, ours, theirs, r.Value)
		}
	}
}

// TestLawsOfKinds holds the laws for any edits of any kind.
func TestLawsOfKinds(t *testing.T) { rapid.Check(t, checkKind(matrices(t))) }

// FuzzKinds looks for edits that break them.
func FuzzKinds(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkKind(matrices(f)))) }
