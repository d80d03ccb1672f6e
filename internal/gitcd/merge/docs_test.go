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

// TestDocs compares the table of rules with the documentation's.
func TestDocs(t *testing.T) {
	const file, begin, end = "../../../docs/merging.md", "-rewrite -->\n", "<!-- end of table -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	have, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	var want strings.Builder
	want.WriteString("| rule | when | takes | because | recorded |\n| --- | --- | --- | --- | --- |\n")
	seen := map[merge.Rule]bool{}
	for _, row := range merge.Table {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s | %s |\n", row.Rule, row.When, row.Takes, row.Because, row.Records)
		if seen[row.Rule] {
			t.Errorf("rule %s comes twice", row.Rule)
		}
		seen[row.Rule] = true
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(head+begin+want.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), have); diff != "" {
		t.Errorf("run with -rewrite: %s", diff)
	}
}
