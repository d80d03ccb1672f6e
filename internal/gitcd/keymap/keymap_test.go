// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package keymap_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/keymap"
)

func TestMap(t *testing.T) {
	blue, err := keymap.New([]keymap.Rule{{Prefix: "/registry/", Tree: "clusters/blue/"}, {Prefix: "/other/", Tree: "other/"}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := keymap.New([]keymap.Rule{{Prefix: "", Tree: ""}})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		m         keymap.Map
		key, tree string
	}{
		{keymap.Map{}, "/a", "/a"},
		{keymap.Map{}, "a", "a"},
		{blue, "/registry/pods/x", "/clusters/blue/pods/x"},
		{blue, "/registry/", "/clusters/blue/"},
		{blue, "/registry//x", "/clusters/blue//x"},
		{blue, "/other/a", "/other/a"},
		{blue, "/registry", ""},
		{blue, "compact_rev_key", ""},
		{blue, "", "/clusters/green/x"},
		{blue, "", "/clusters/blue"},
		{blue, "", "clusters/blue/x"},
		{all, "README.md", "/README.md"},
		{all, "/a", "//a"},
		{all, "", "/"},
	}
	for _, c := range cases {
		if c.tree != "" {
			if key, ok := c.m.Key(c.tree); ok && key != c.key || !ok && c.key != "" {
				t.Errorf("[%s] Key(%q) = %q, %v; want %q", c.m, c.tree, key, ok, c.key)
			}
		}
		if c.key != "" {
			if tree, ok := c.m.Tree(c.key); ok && tree != c.tree || ok != (c.tree != "") {
				t.Errorf("[%s] Tree(%q) = %q, %v; want %q", c.m, c.key, tree, ok, c.tree)
			}
		}
	}
}

func TestK3Checked(t *testing.T) {
	for _, c := range []struct {
		rules []keymap.Rule
		want  string
	}{
		{[]keymap.Rule{{Prefix: "/a"}}, "must end in a slash"},
		{[]keymap.Rule{{Tree: "a"}}, "must end in a slash"},
		{[]keymap.Rule{{Tree: "/a/"}}, "begin with none"},
		{[]keymap.Rule{{Prefix: "/a/", Tree: "x/"}, {Prefix: "/a/b/", Tree: "y/"}}, "two places"},
		{[]keymap.Rule{{Prefix: "/a/", Tree: "x/"}, {Prefix: "", Tree: "y/"}}, "two places"},
		{[]keymap.Rule{{Prefix: "/a/", Tree: "x/"}, {Prefix: "/b/", Tree: "x/y/"}}, "one place"},
	} {
		if _, err := keymap.New(c.rules); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.rules, err, c.want)
		}
	}
}

// rules draws a map of up to three rules that do not overlap.
func rules(t *rapid.T) keymap.Map {
	part := rapid.SampledFrom([]string{"", "/", "a/", "/a/", "/ab/", "b/", "/b/c/", "%-/"})
	dir := rapid.SampledFrom([]string{"", "a/", "ab/", "b/c/", "x/y/z/", "b/d/"})
	var kept []keymap.Rule
	for range rapid.IntRange(1, 3).Draw(t, "rules") {
		more := append(kept, keymap.Rule{Prefix: part.Draw(t, "prefix"), Tree: dir.Draw(t, "tree")})
		if _, err := keymap.New(more); err == nil {
			kept = more
		}
	}
	m, err := keymap.New(kept)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func check(t rapid.TB, m keymap.Map, a, b string) {
	t.Helper()
	ta, oka := m.Tree(a)
	tb, okb := m.Tree(b)
	if oka {
		if back, ok := m.Key(ta); !ok || back != a {
			t.Fatalf("[%s] Key(Tree(%q)) = Key(%q) = %q, %v", m, a, ta, back, ok)
		}
	}
	if oka && okb && a != b && ta == tb {
		t.Fatalf("[%s] %q and %q both lie at %q", m, a, b, ta)
	}
	if key, ok := m.Key(a); ok { // a as a tree key
		if back, ok := m.Tree(key); !ok || back != a {
			t.Fatalf("[%s] Tree(Key(%q)) = Tree(%q) = %q, %v", m, a, key, back, ok)
		}
	}
}

func TestK1Injective(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("/abc%-\x00")), 0, 10, -1)
	rapid.Check(t, func(t *rapid.T) { check(t, rules(t), text.Draw(t, "a"), text.Draw(t, "b")) })
}

func TestK2InOrder(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("/abc%-\x00")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		m, err := keymap.New([]keymap.Rule{{Prefix: "/p/", Tree: "t/"}})
		if err != nil {
			t.Fatal(err)
		}
		a, b := "/p/"+text.Draw(t, "a"), "/p/"+text.Draw(t, "b")
		ta, _ := m.Tree(a)
		tb, _ := m.Tree(b)
		if strings.Compare(a, b) != strings.Compare(ta, tb) {
			t.Fatalf("%q and %q are in another order than %q and %q", a, b, ta, tb)
		}
	})
}

func FuzzMap(f *testing.F) {
	f.Add("/registry/", "clusters/blue/", "/registry/a", "/clusters/blue/a")
	f.Add("", "", "a", "/a")
	f.Fuzz(func(t *testing.T, prefix, tree, a, b string) {
		m, err := keymap.New([]keymap.Rule{{Prefix: prefix, Tree: tree}})
		if err != nil {
			return
		}
		check(t, m, a, b)
		check(t, m, prefix+a, prefix+b)
	})
}
