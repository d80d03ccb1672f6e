// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

func TestTrees(t *testing.T) {
	s := newStore()
	base := s.edit(t, gitobj.Zero, map[string][]byte{"/a": []byte("0"), "/b": []byte("0"), "/c": []byte("0"), "/d": []byte("0")})
	ours := s.edit(t, base, map[string][]byte{"/a": []byte("1"), "/c": []byte("1"), "/c/d": []byte("1"), "/d": []byte("2")})
	theirs := s.edit(t, base, map[string][]byte{"/b": nil, "/c": []byte("2"), "/d": []byte("2")})
	got := map[string]string{}
	err := merge.Trees(t.Context(), s, base, ours, theirs, func(d merge.KeyDiff) error {
		got[d.Key] = d.Kind.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"/a": "ours only", "/b": "theirs only", "/c": "both", "/c/d": "ours only", "/d": "both"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	p, err := merge.Plan(t.Context(), s, base, ours, theirs, apart)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Changes {
		if _, err := c.Content(s); err != nil {
			t.Error(err)
		}
	}
	values := s.values(t, s.apply(t, ours, p.Changes))
	if diff := cmp.Diff(map[string][]byte{"/a": []byte("1"), "/c": []byte("2"), "/c/d": []byte("1"), "/d": []byte("2")}, values); diff != "" {
		t.Error(diff)
	}
	if len(p.Conflicts) != 1 || p.Conflicts[0].Key != "/c" {
		t.Errorf("conflicts: %v", p.Conflicts)
	}
}

// TestSpelledDifferently has blobs that hold the same value in different
// spellings, as an edit by hand can leave: both sides must take the same one.
func TestSpelledDifferently(t *testing.T) {
	s := newStore()
	tree := func(blob string) gitobj.ID {
		e := treeedit.New(s, gitobj.Zero)
		if err := e.Set(t.Context(), "/k", s.put(gitobj.KindBlob, []byte(blob))); err != nil {
			t.Fatal(err)
		}
		root, err := e.Write(t.Context(), s.emit)
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	base, a, b := tree("old"), tree("%gitcd raw\nvalue"), tree("value")
	merged := func(ours, theirs gitobj.ID, p merge.Policy) gitobj.ID {
		planned, err := merge.Plan(t.Context(), s, base, ours, theirs, p)
		if err != nil || len(planned.Conflicts) > 0 {
			t.Fatal(err, planned.Conflicts)
		}
		return s.apply(t, ours, planned.Changes)
	}
	if x, y := merged(a, b, apart), merged(b, a, merge.Policy{Ours: apart.Theirs, Theirs: apart.Ours}); x != y {
		t.Errorf("%s and %s", x, y)
	}
}

// TestM7ByTheChange counts what a merge of a few keys in many reads.
func TestM7ByTheChange(t *testing.T) {
	s := newStore()
	base, ours, theirs := bigTrees(t, s, 200, 50)
	s.reads = 0
	p, err := merge.Plan(t.Context(), s, base, ours, theirs, apart)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Changes) != 10 || len(p.Conflicts) != 1 {
		t.Errorf("%d changes, %d conflicts; want 10 and 1", len(p.Changes), len(p.Conflicts))
	}
	if limit := 3 + 3*3 + 10*3 + 10*3; s.reads > limit {
		t.Errorf("read %d objects, want at most %d", s.reads, limit)
	}
}

func bigTrees(t rapid.TB, s *store, dirs, each int) (base, ours, theirs gitobj.ID) {
	t.Helper()
	start := map[string][]byte{}
	for i := range dirs {
		for k := range each {
			start[fmt.Sprintf("/registry/configmaps/ns-%04d/cm-%05d", i, k)] = object(fmt.Sprint(i, k), "0", "0")
		}
	}
	base = s.edit(t, gitobj.Zero, start)
	var change [2]map[string][]byte
	for side := range change {
		change[side] = map[string][]byte{}
		for i := range 10 {
			key, a, b := fmt.Sprintf("/registry/configmaps/ns-%04d/cm-%05d", i*dirs/10, i), "0", "0"
			switch {
			case i == 9:
				a = fmt.Sprint(side + 1)
				b = "1"
			case side == 0:
				a = "1"
			default:
				b = "1"
			}
			change[side][key] = object(fmt.Sprint(i*dirs/10, i), a, b)
		}
	}
	return base, s.edit(t, base, change[0]), s.edit(t, base, change[1])
}

func object(uid, a, b string) []byte {
	return fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","uid":%q},"data":{"a":%q,"b":%q}}`+"\n", uid, a, b)
}

func TestCriss(t *testing.T) {
	s := newStore()
	at := func(tree gitobj.ID, when int, parents ...gitobj.ID) gitobj.ID {
		return s.commit(tree, when, parents...)
	}
	o := at(s.edit(t, gitobj.Zero, map[string][]byte{"/k": object("u", "0", "0")}), 1)
	h1 := at(s.edit(t, s.tree(t, o), map[string][]byte{"/k": object("u", "1", "0")}), 2, o)
	m1 := at(s.edit(t, s.tree(t, o), map[string][]byte{"/k": object("u", "2", "0"), "/l": []byte("l")}), 3, o)
	resolved := s.edit(t, s.tree(t, m1), map[string][]byte{})
	h2, m2 := at(resolved, 4, h1, m1), at(resolved, 5, m1, h1)
	// The heaven takes back what main said of /k, and deletes /l: with h1 or m1 alone as base, one of these would come again.
	h3 := at(s.edit(t, s.tree(t, h2), map[string][]byte{"/k": object("u", "1", "0"), "/l": nil}), 6, h2)
	m3 := at(s.edit(t, s.tree(t, m2), map[string][]byte{"/m": []byte("m")}), 7, m2)
	got, err := merge.NewHistory(s).Merge(t.Context(), h3, m3, apart)
	if err != nil {
		t.Fatal(err)
	}
	if got.Relation != merge.Diverged || len(got.Bases) != 2 || len(got.Conflicts) > 0 {
		t.Errorf("%s, bases %s, conflicts %v", got.Relation, got.Bases, got.Conflicts)
	}
	want := map[string][]byte{"/k": object("u", "1", "0"), "/m": []byte("m")}
	if diff := cmp.Diff(want, s.values(t, s.apply(t, s.tree(t, h3), got.Changes))); diff != "" {
		t.Error(diff)
	}
}

func TestRelations(t *testing.T) {
	s := newStore()
	a := s.commit(s.edit(t, gitobj.Zero, map[string][]byte{"/a": []byte("1")}), 1)
	b := s.commit(s.edit(t, s.tree(t, a), map[string][]byte{"/b": []byte("1")}), 2, a)
	c := s.commit(s.edit(t, s.tree(t, a), map[string][]byte{"/c": []byte("1")}), 2, a)
	x := s.commit(s.edit(t, gitobj.Zero, map[string][]byte{"/a": []byte("2")}), 1)
	for _, test := range []struct {
		ours, theirs gitobj.ID
		want         merge.Relation
		changes      int
		conflicts    int
	}{
		{a, a, merge.Equal, 0, 0},
		{b, a, merge.OursAhead, 0, 0},
		{a, b, merge.TheirsAhead, 1, 0},
		{b, c, merge.Diverged, 1, 0},
		{x, b, merge.Unrelated, 2, 1},
	} {
		got, err := merge.NewHistory(s).Merge(t.Context(), test.ours, test.theirs, apart)
		if err != nil {
			t.Fatal(err)
		}
		if got.Relation != test.want || len(got.Changes) != test.changes || len(got.Conflicts) != test.conflicts {
			t.Errorf("want %v, have %s, %v, %v", test, got.Relation, got.Changes, got.Conflicts)
		}
	}
	if _, err := merge.Plan(t.Context(), s, a, b, s.blob([]byte("x")), apart); !errors.Is(err, gitobj.ErrMalformed) {
		t.Errorf("plan of a blob: %v", err)
	}
	if _, err := merge.NewHistory(s).Merge(t.Context(), a, s.tree(t, a), apart); !errors.Is(err, gitobj.ErrMalformed) {
		t.Errorf("merge of a tree as a head: %v", err)
	}
	if _, err := merge.NewHistory(s).Merge(t.Context(), a, gitobj.ID{1}, apart); err == nil {
		t.Error("merge of a head that is not there")
	}
}

func TestRecord(t *testing.T) {
	const secret = "aHVudGVyMg=="
	base := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","uid":"u"},"data":{"p":"a"}}`)
	ours := bytes.Replace(base, []byte(`"a"`), fmt.Appendf(nil, "%q", secret), 1)
	theirs := bytes.Replace(base, []byte(`"a"`), []byte(`"b"`), 1)
	o := merge.Occasion{
		Who: "hub", When: time.Unix(1_800_000_000, 0), OurBranch: "heavens/a", TheirBranch: "main",
		Bases: []gitobj.ID{{1}}, Ours: gitobj.ID{2}, Theirs: gitobj.ID{3},
	}
	r := merge.Object("/k", base, ours, theirs, apart)
	if len(r.Conflicts) != 1 {
		t.Fatal(r.Conflicts)
	}
	key, content, err := merge.Record(r.Conflicts[0], o)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte(secret)) {
		t.Errorf("law M8: %s", content)
	}
	const want = `{
 "key": "/k",
 "path": ".data.p",
 "took": "theirs",
 "branch": "main",
 "why": "branch-order",
 "reason": "main's value has been seen by others",
 "base": {
  "commits": [
   "0100000000000000000000000000000000000000"
  ],
  "blob": "3968e6996cc7f07cc09211a540aa1c461f7b1f47",
  "hidden": true
 },
`
	if diff := cmp.Diff(want, string(content[:min(len(want), len(content))])); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(key, "/k/") || !strings.HasSuffix(key, ".json") {
		t.Errorf("key %q", key)
	}
	swapped := merge.Object("/k", base, theirs, ours, merge.Policy{Ours: "main", Theirs: "heavens/a"})
	o.OurBranch, o.TheirBranch, o.Ours, o.Theirs = o.TheirBranch, o.OurBranch, o.Theirs, o.Ours
	if other, _, err := merge.Record(swapped.Conflicts[0], o); err != nil || other != key {
		t.Errorf("the other side records it as %q, not %q: %v", other, key, err)
	}
	plain := merge.Object("/k", object("u", "0", "0"), object("u", "1", "0"), object("u", "2", "0"), apart)
	if _, content, err := merge.Record(plain.Conflicts[0], o); err != nil || !bytes.Contains(content, []byte(`"value": "1"`)) {
		t.Errorf("%s %v", content, err)
	}
}

func TestOwners(t *testing.T) {
	rules := append(merge.DefaultOwners(), merge.OwnerRule{Key: "/a/*/b/", Path: ".spec", Branch: "x/*"})
	for _, c := range []struct{ key, path, want string }{
		{"/registry/minions/w1", ".status.conditions", "nodes/w1"},
		{"/registry/minions/w1", ".status", "nodes/w1"},
		{"/registry/minions/w1", ".statusx", ""},
		{"/registry/minions/w1", "", ""},
		{"/registry/minions/w1/x", ".status", ""},
		{"/registry/leases/kube-node-lease/w1", "", "nodes/w1"},
		{"/registry/leases/kube-node-lease/w1", ".spec", "nodes/w1"},
		{"/registry/ranges/serviceips", ".data", "heavens/apiserver"},
		{"/a/q/b/c", ".spec", "x/q"},
		{"/a/q/c", ".spec", ""},
	} {
		if got := rules.Owner(c.key, c.path); got != c.want {
			t.Errorf("%s%s: %q, want %q", c.key, c.path, got, c.want)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	for name, size := range map[string][2]int{"1000x100": {1000, 100}, "10x10000": {10, 10_000}} {
		b.Run(name, func(b *testing.B) {
			s := newStore()
			base, ours, theirs := bigTrees(b, s, size[0], size[1])
			e := treeedit.New(s, ours)
			for b.Loop() {
				p, err := merge.Plan(b.Context(), s, base, ours, theirs, apart)
				if err != nil {
					b.Fatal(err)
				}
				e.Reset(ours)
				if _, err := merge.Apply(b.Context(), e, p.Changes, s.emit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkObject(b *testing.B) {
	base, ours, theirs := object("u", "0", "0"), object("u", "1", "0"), object("u", "0", "1")
	for b.Loop() {
		merge.Object("/k", base, ours, theirs, apart)
	}
}
