// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitobj_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// genTree makes trees whose ids are full of what separates entries.
func genTree(t *rapid.T) gitobj.Tree {
	unit := rapid.SampledFrom([]string{"\x00", "\x00", "\x01", "a", "100644 a\x00", "40000 b\x00", " "})
	names := rapid.SampledFrom([]string{"a", "b", "a.", "a0", "100644 ", "pod-with-a-long-name-", strings.Repeat("long", 200)})
	plain := rapid.Bool().Draw(t, "plain")
	seen := map[string]bool{}
	var tree gitobj.Tree
	for range rapid.IntRange(0, 120).Draw(t, "entries") {
		e := gitobj.Entry{Mode: gitobj.ModeFile, Name: names.Draw(t, "name") + fmt.Sprint(rapid.IntRange(0, 500).Draw(t, "number"))}
		if seen[e.Name] {
			continue
		}
		seen[e.Name] = true
		if rapid.Bool().Draw(t, "dir") {
			e.Mode = gitobj.ModeDir
		}
		if plain {
			e.ID = gitobj.Hash(gitobj.KindBlob, []byte(e.Name))
		} else {
			copy(e.ID[:], strings.Join(rapid.SliceOfN(unit, 0, 20).Draw(t, "id"), ""))
		}
		tree = append(tree, e)
	}
	tree.Sort()
	return tree
}

// starts returns where the entries begin, and where the last one ends.
func starts(tree gitobj.Tree) []int {
	out := []int{0}
	for _, e := range tree {
		out = append(out, out[len(out)-1]+gitobj.EntrySize(e))
	}
	return out
}

// standsOn compares where a cursor is with where it is to be.
func standsOn(t *rapid.T, c *gitobj.Cursor, tree gitobj.Tree, at []int, i int) {
	t.Helper()
	if c.At != at[i] || c.Done() != (i == len(tree)) {
		t.Fatalf("at byte %d, want entry %d of %d at byte %d", c.At, i, len(tree), at[i])
	}
	if c.Done() {
		return
	}
	got := gitobj.Entry{Mode: gitobj.ModeFile, Name: string(c.Name), ID: c.ID()}
	if c.Dir {
		got.Mode = gitobj.ModeDir
	}
	if got != tree[i] || string(c.Mode()) != fmt.Sprintf("%o", tree[i].Mode) || c.Next != at[i+1] || len(c.Entry()) != at[i+1]-at[i] {
		t.Fatalf("entry %d is read as %v, want %v", i, got, tree[i])
	}
}

// TestO5Cursor leaps through trees and compares with reading each entry.
func TestO5Cursor(t *testing.T) { rapid.Check(t, checkCursor) }

func FuzzCursor(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkCursor)) }

func checkCursor(t *rapid.T) {
	tree := genTree(t)
	at := starts(tree)
	data := tree.Encode()
	c, err := gitobj.NewCursor(data)
	if err != nil {
		t.Fatal(err)
	}
	whole := c
	if err := whole.Check(); err != nil || !whole.Done() {
		t.Fatalf("a tree is refused at byte %d: %v", whole.At, err)
	}
	i := 0
	for range rapid.IntRange(1, 6).Draw(t, "moves") {
		switch {
		case rapid.Bool().Draw(t, "pass"):
			n := rapid.IntRange(0, len(data)-c.At).Draw(t, "bytes")
			for end := at[i] + n; i < len(tree) && at[i+1] <= end; {
				i++
			}
			err = c.Pass(n)
		case len(tree) > 0 && rapid.Bool().Draw(t, "there"):
			e := rapid.SampledFrom(tree).Draw(t, "entry")
			if found, _ := tree.Find(e.Name, e.IsDir()); found > i {
				i = found
			}
			err = c.Seek([]byte(e.Name), e.IsDir())
		default:
			name, dir := rapid.StringMatching(`[ab1p][.o0-9]{0,4}`).Draw(t, "name"), rapid.Bool().Draw(t, "dir")
			if found, _ := tree.Find(name, dir); found > i {
				i = found
			}
			err = c.Seek([]byte(name), dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		standsOn(t, &c, tree, at, i)
		follows := gitobj.Cursor{Data: data}
		if err := follows.Follow(c.At); err != nil {
			t.Fatal(err)
		}
		standsOn(t, &follows, tree, at, i)
	}
}

// FuzzCursorOnAnything leaps through what may be no tree: there is an end, or
// an error, and no entry that is not there.
func FuzzCursorOnAnything(f *testing.F) {
	f.Add([]byte("100644 a\x0012345678901234567890"), "a", 3)
	f.Fuzz(func(t *testing.T, data []byte, name string, n int) {
		c, err := gitobj.NewCursor(data)
		if err != nil {
			return
		}
		tree, bad := gitobj.DecodeTree(data)
		check := c
		if err := check.Check(); bad == nil && err != nil {
			t.Fatalf("%d entries are decoded, and refused: %v", len(tree), err)
		}
		each := c
		for _, e := range tree {
			if bits, err := each.Bits(); err != nil || bits != e.Mode || string(each.Name) != e.Name || each.Dir != e.IsDir() || each.ID() != e.ID {
				t.Fatalf("%q is read as %o %q %v %s (%v), want %v", each.Entry(), bits, each.Name, each.Dir, each.ID(), err, e)
			}
			if err := each.Advance(); err != nil {
				t.Fatal(err)
			}
		}
		if c.Pass(max(0, min(n, len(data)))) != nil || c.Seek([]byte(name), false) != nil || c.Done() {
			return
		}
		if c.Next > len(data) || len(c.Name) == 0 || c.Compare([]byte(name), false) < 0 {
			t.Fatalf("stands at %d on %q", c.At, c.Name)
		}
	})
}

func TestCommon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := slices.Repeat([]byte("ab"), rapid.IntRange(0, 9000).Draw(t, "size"))
		at := rapid.IntRange(0, len(a)).Draw(t, "at")
		b := slices.Clone(a[:rapid.IntRange(at, len(a)).Draw(t, "cut")])
		want := len(b)
		if at < len(b) {
			b[at]++
			want = at
		}
		if got := gitobj.Common(a, b); got != want {
			t.Fatalf("have %d bytes in common, want %d", got, want)
		}
	})
}
