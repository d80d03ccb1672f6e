// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// TestT7Leaps merges and edits directories that are large enough for leaps, and
// compares with maps of keys.
func TestT7Leaps(t *testing.T) { rapid.Check(t, checkLeaps) }

func FuzzLeaps(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkLeaps)) }

func checkLeaps(t *rapid.T) {
	ctx := context.Background()
	m := newMemory()
	values := make([]gitobj.ID, 4)
	for i := range values {
		values[i] = m.put(gitobj.KindBlob, fmt.Append(nil, i))
	}
	if rapid.Bool().Draw(t, "odd ids") { // as an id may be any bytes
		for i, bytes := range []string{"\x00", "\x00100644 a\x00", strings.Repeat("\x00", 19) + "\x01"} {
			id := gitobj.ID{19: byte(i + 1)}
			copy(id[:], bytes)
			m.objects[id], m.kinds[id], values[i] = nil, gitobj.KindBlob, id
		}
	}
	stem := rapid.SampledFrom([]string{"", "pod-with-a-name-", strings.Repeat("x", 200)}).Draw(t, "stem")
	key := func(n int) string { return fmt.Sprintf("/d/%s%d", stem, n) }
	base := map[string]gitobj.ID{}
	size := rapid.IntRange(0, 400).Draw(t, "names")
	for n := range size {
		base[key(n*7%401)] = values[n%3]
	}
	change := func(label string) map[string]gitobj.ID {
		out := maps.Clone(base)
		for range rapid.IntRange(0, 6).Draw(t, label) {
			k := key(rapid.IntRange(0, 420).Draw(t, "key"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				delete(out, k)
			case 1:
				out[k+"/below"] = values[0]
			default:
				out[k] = rapid.SampledFrom(values).Draw(t, "value")
			}
		}
		return out
	}
	sides := []map[string]gitobj.ID{base, change("ours"), change("theirs")}
	roots := make([]gitobj.ID, len(sides))
	for i, side := range sides {
		roots[i] = m.build(t, side)
	}
	checkJoin(t, m, roots, sides)
	e := treeedit.New(m, roots[0])
	for i, side := range sides[1:] {
		e.Reset(roots[0])
		for k := range base {
			if _, ok := side[k]; !ok {
				_ = e.Delete(ctx, k)
			}
		}
		for k, v := range side {
			if base[k] != v {
				_ = e.Set(ctx, k, v)
			}
		}
		if got, err := e.Write(ctx, m.emit); err != nil || got != roots[i+1] {
			t.Fatalf("edited %s, built %s: %v", got, roots[i+1], err)
		}
	}
	for range 20 {
		k := key(rapid.IntRange(0, 420).Draw(t, "look up"))
		if got, found, err := treeedit.Lookup(ctx, m, roots[1], k); err != nil || got != sides[1][k] || found == got.IsZero() {
			t.Fatalf("look up %q: %s %v %v, want %s", k, got, found, err, sides[1][k])
		}
	}
}

// checkJoin joins trees as a merge does, and compares with their keys.
func checkJoin(t *rapid.T, m *memory, roots []gitobj.ID, sides []map[string]gitobj.ID) {
	nothing := func(ids []gitobj.ID) bool { return ids[2] == ids[0] || ids[2] == ids[1] }
	want, got := map[string][]gitobj.ID{}, map[string][]gitobj.ID{}
	for _, side := range sides {
		for k := range side {
			if ids := []gitobj.ID{sides[0][k], sides[1][k], sides[2][k]}; !nothing(ids) {
				want[k] = ids
			}
		}
	}
	err := treeedit.Join(context.Background(), m, roots, nothing, func(k string, ids []gitobj.ID) error {
		if got[k] != nil {
			t.Fatalf("%q comes twice", k)
		}
		got[k] = slices.Clone(ids)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// TestT7Checked has an editor refuse a directory that is out of order anywhere,
// before anything is looked up in it.
func TestT7Checked(t *testing.T) {
	m := newMemory()
	v := m.put(gitobj.KindBlob, []byte("v"))
	for _, size := range []int{3, 1000} {
		var tree gitobj.Tree
		for n := range size {
			tree = append(tree, gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("name-%04d", n), ID: v})
		}
		good := m.put(gitobj.KindTree, tree.Encode())
		tree[size-1], tree[size-2] = tree[size-2], tree[size-1]
		bad := m.put(gitobj.KindTree, tree.Encode())
		e := treeedit.New(m, good)
		for range 2 {
			e.Reset(good)
			_ = e.Set(t.Context(), "/a", v)
			if _, err := e.Write(t.Context(), m.emit); err != nil {
				t.Fatal(err)
			}
			e.Reset(bad)
			_ = e.Set(t.Context(), "/a", v)
			if _, err := e.Write(t.Context(), m.emit); !errors.Is(err, gitobj.ErrMalformed) || !strings.Contains(err.Error(), "not in order") {
				t.Errorf("%d names, the last two out of order: %v", size, err)
			}
		}
	}
}
