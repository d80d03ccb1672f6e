// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"os"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
)

// docs/gates.md names every gate that is shipped, and every relation.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../docs/gates.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gate.Defaults(frontDoor) {
		if !strings.Contains(string(data), "\n| `"+g.Name+"` |") {
			t.Errorf("gate %s is not in the table", g.Name)
		}
	}
	for _, r := range gate.Relations() {
		if !strings.Contains(string(data), "\n| `"+r+"` |") {
			t.Errorf("relation %s is not in the table", r)
		}
	}
}
