// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// TestDocs compares the table of rules, and that of statements, with the documentation's.
func TestDocs(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("| rule | when | takes | because | recorded |\n| --- | --- | --- | --- | --- |\n")
	seen := map[merge.Rule]bool{}
	for _, row := range merge.Table {
		fmt.Fprintf(&rules, "| `%s` | %s | %s | %s | %s |\n", row.Rule, row.When, row.Takes, row.Because, row.Records)
		if seen[row.Rule] {
			t.Errorf("rule %s comes twice", row.Rule)
		}
		seen[row.Rule] = true
	}
	compare(t, "-rewrite -->\n", "<!-- end of table -->", rules.String())
	var statements strings.Builder
	statements.WriteString("| kind | fields | with | rule | because |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range merge.Statements {
		kinds := strings.Join(s.Kinds, ", ")
		if kinds == "" {
			kinds = "the spec of a pod, anywhere"
		}
		with := code(s.With)
		if len(s.Rest) > 0 {
			with = strings.TrimPrefix(with+"; if both said it: "+code(s.Rest), "; ")
		}
		if len(s.Except) > 0 {
			with = strings.TrimPrefix(with+"; without "+code(s.Except), "; ")
		}
		fmt.Fprintf(&statements, "| %s | %s | %s | `%s` | %s |\n", kinds, code(s.Fields), with, s.Rule, s.Because)
		if !seen[s.Rule] {
			t.Errorf("rule %s is not in the table", s.Rule)
		}
	}
	compare(t, "<!-- statements -->\n", "<!-- end of statements -->", statements.String())
}

func code(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, "`"+w+"`")
	}
	return strings.Join(out, ", ")
}

// compare compares what is between two marks in the documentation, or writes it anew.
func compare(t *testing.T, begin, end, want string) {
	t.Helper()
	const file = "../../../docs/merging.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	have, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("run with -rewrite: %s", diff)
	}
}
