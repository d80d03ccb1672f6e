// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPaths holds that every path is read as it is written.
func TestPaths(t *testing.T) {
	name := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9_-]{1,9}`), rapid.StringMatching(`[a-z."\\\]\[,=]{0,9}`), rapid.String())
	scalar := rapid.Custom(func(t *rapid.T) any {
		if rapid.Bool().Draw(t, "text") {
			return rapid.String().Draw(t, "value")
		}
		return rapid.Bool().Draw(t, "value")
	})
	rapid.Check(t, func(t *rapid.T) {
		var p path
		for range rapid.IntRange(0, 5).Draw(t, "length") {
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				p = p.field(name.Draw(t, "name"))
			case 1:
				id := newObject()
				id.set("", scalar.Draw(t, "value"))
				p = p.item(id)
			default:
				id := newObject()
				for range rapid.IntRange(1, 3).Draw(t, "keys") {
					id.set(rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "key"), scalar.Draw(t, "value"))
				}
				p = p.item(id)
			}
		}
		got, err := parsePath(p.String())
		if err != nil || got.String() != p.String() || len(got) != len(p) {
			t.Fatalf("%s is read as %s: %v", p, got, err)
		}
	})
	for _, text := range []string{"spec", ".", ".a[", `.a["x]`, ".a[b]", ".a[b=]", ".a[b=x]", ".a..b"} {
		if p, err := parsePath(text); err == nil {
			t.Errorf("%q is read as %s", text, p)
		}
	}
}

// TestStatements holds that the table can be read.
func TestStatements(t *testing.T) {
	for _, s := range Statements {
		for _, texts := range [][]string{s.Fields, s.With, s.Rest} {
			if len(s.paths(texts, nil)) != len(texts) {
				t.Errorf("%s: paths %v", s.Kinds, texts)
			}
		}
		if len(s.Fields) == 0 || s.Because == "" {
			t.Errorf("%s: no fields, or no reason", s.Kinds)
		}
	}
}

// TestPlace holds that what was placed is found, and nothing else changed.
func TestPlace(t *testing.T) {
	v, err := parse([]byte(`{"a":{"b":[{"type":"x","n":1},{"type":"y"}],"s":["p"]},"c":1}`))
	if err != nil {
		t.Fatal(err)
	}
	before := render(v)
	for at, want := range map[string]string{
		".c":               `{"a":{"b":[{"type":"x","n":1},{"type":"y"}],"s":["p"]},"c":"new"}`,
		`.a.b[type="x"].n`: `{"a":{"b":[{"type":"x","n":"new"},{"type":"y"}],"s":["p"]},"c":1}`,
		`.a.b[type="y"]`:   `{"a":{"b":[{"type":"x","n":1},"new"],"s":["p"]},"c":1}`,
		`.a.s[="p"]`:       `{"a":{"b":[{"type":"x","n":1},{"type":"y"}],"s":["new"]},"c":1}`,
		`.d["x/y"]`:        `{"a":{"b":[{"type":"x","n":1},{"type":"y"}],"s":["p"]},"c":1,"d":{"x/y":"new"}}`,
		`.a.b[type="z"]`:   `{"a":{"b":[{"type":"x","n":1},{"type":"y"},"new"],"s":["p"]},"c":1}`,
	} {
		p, err := parsePath(at)
		if err != nil {
			t.Fatal(err)
		}
		if got := render(place(v, p, "new")); got != want {
			t.Errorf("%s: %s", at, got)
		}
		if was := look(v, p); was != absent && render(place(place(v, p, "new"), p, was)) != before && at != `.a.b[type="y"]` && at != `.a.s[="p"]` {
			t.Errorf("%s does not come back", at)
		}
	}
	p, err := parsePath(`.a.b[type="x"]`)
	if err != nil {
		t.Fatal(err)
	}
	if got := render(place(v, p, absent)); got != `{"a":{"b":[{"type":"y"}],"s":["p"]},"c":1}` {
		t.Error(got)
	}
	if render(v) != before {
		t.Errorf("changed to %s", render(v))
	}
}
