// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// TestMessageListsAll has ever more conflicts in one merge: each has a line, or is counted.
func TestMessageListsAll(t *testing.T) {
	t.Parallel()
	value, err := json.Marshal(strings.Repeat("x", 600))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 1500, 30_000} {
		m := merge.Merged{}
		for i := range n {
			blob := gitobj.Hash(gitobj.KindBlob, fmt.Append(nil, i))
			side := merge.Value{Blob: blob, JSON: value}
			m.Conflicts = append(m.Conflicts, merge.Conflict{Key: fmt.Sprintf("/registry/x/%d", i), Path: ".spec", Base: side, Ours: side, Theirs: side, Took: merge.Ours, Why: merge.BranchOrder})
		}
		got, err := exchange.Message("merge", m, merge.Occasion{Who: "a", When: time.Unix(1, 0), OurBranch: "a", TheirBranch: "main"})
		if err != nil {
			t.Fatal(err)
		}
		listed, unlisted := strings.Count(got, "\nConflict: "), 0
		if at := strings.Index(got, "\nConflicts-Unlisted: "); at >= 0 {
			if _, err := fmt.Sscanf(got[at+1:], "Conflicts-Unlisted: %d", &unlisted); err != nil {
				t.Fatal(err)
			}
		}
		if listed+unlisted != n || len(got) > 17<<20 || n <= 1500 && unlisted > 0 {
			t.Errorf("%d conflicts: %d lines, %d counted, %d bytes", n, listed, unlisted, len(got))
		}
	}
}

// TestManyConflicts merges, after a cut, what two heavens did to more keys than a message lists in full.
func TestManyConflicts(t *testing.T) {
	const n = 1200
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	key := func(i int) string { return fmt.Sprintf("/registry/opaque/%d", i) }
	for i := range n {
		a.put(key(i), "base")
	}
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	settled(t, h, a, b)
	b.link.sever()
	for i := range n {
		a.put(key(i), "by a")
		b.put(key(i), "by b")
	}
	eventually(t, "main has what a wrote", func() bool { return !a.exchange.Status().Unpushed })
	b.link.mend()
	settled(t, h, a, b)
	eventually(t, "every conflict is on record", func() bool { return h.status().Records.Filed == n })
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}
