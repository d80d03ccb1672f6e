// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// TestTreeDelta shows that a delta makes the tree it was made for, and is as small as the change.
func TestTreeDelta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := func(label string) gitobj.Tree {
			var tree gitobj.Tree
			for n, id := range rapid.MapOf(rapid.IntRange(0, 40), rapid.Byte()).Draw(t, label) {
				e := gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("n%d", n), ID: gitobj.ID{id}}
				if n%3 == 0 {
					e.Mode = gitobj.ModeDir
				}
				tree = append(tree, e)
			}
			tree.Sort()
			return tree
		}
		base, data := entries("base").Encode(), entries("data").Encode()
		delta, ok := treeDelta(base, data)
		if !ok {
			t.Fatal("no delta")
		}
		got, err := pack.ApplyDelta(base, delta)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("the delta makes %q, want %q: %v", got, data, err)
		}
	})
	var tree gitobj.Tree
	for i := range 3000 {
		tree = append(tree, gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("pod-%04d", i), ID: gitobj.ID{byte(i), byte(i >> 8)}})
	}
	base := tree.Encode()
	for i := 5; i < 3000; i += 1000 {
		tree[i].ID[19]++
	}
	tree = append(tree[:1500], tree[1501:]...)
	delta, _ := treeDelta(base, tree.Encode())
	if len(delta) > 200 {
		t.Errorf("four changes among 3000 entries are %d bytes", len(delta))
	}
	if got, err := pack.ApplyDelta(base, delta); err != nil || !bytes.Equal(got, tree.Encode()) {
		t.Errorf("the delta of a large tree does not make it: %v", err)
	}
}
