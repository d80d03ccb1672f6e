// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package conflict_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// objects is a store in memory.
type objects map[gitobj.ID]treeedit.Object

func (s objects) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	o, ok := s[id]
	if !ok {
		return 0, nil, fmt.Errorf("%s is not there", id)
	}
	return o.Kind, o.Data, nil
}

func (s objects) emit(o treeedit.Object) error {
	s[o.ID] = o
	return nil
}

func (s objects) list(t *testing.T, tree gitobj.ID) map[string]conflict.Entry {
	t.Helper()
	out := map[string]conflict.Entry{}
	err := conflict.List(t.Context(), s, tree, func(e conflict.Entry) error {
		out[e.Key+" "+e.ID] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const file = "{\n \"key\": \"/registry/a\",\n \"took\": \"ours\",\n \"unknown\": [1]\n}\n"

func filed(t *testing.T, s objects, tree gitobj.ID, names ...string) gitobj.ID {
	t.Helper()
	b := conflict.Edit(s, tree)
	for _, name := range names {
		if _, err := b.File(t.Context(), name, []byte(file)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := b.Write(t.Context(), s.emit)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestC1Once(t *testing.T) {
	t.Parallel()
	s := objects{}
	tree := filed(t, s, gitobj.Zero, "/registry/a/1f.json", "/registry/a/1f.json", "/registry/a b/2.json")
	if n := len(s.list(t, tree)); n != 2 {
		t.Fatalf("%d records, want 2", n)
	}
	if again := filed(t, s, tree, "/registry/a/1f.json"); again != tree {
		t.Error("what is there was filed again")
	}
	b := conflict.Edit(s, tree)
	if _, _, err := b.Resolve(t.Context(), "1f", conflict.Resolution{By: "jane", Decision: conflict.Seen}); err != nil {
		t.Fatal(err)
	}
	resolved, err := b.Write(t.Context(), s.emit)
	if err != nil {
		t.Fatal(err)
	}
	if again := filed(t, s, resolved, "/registry/a/1f.json"); again != resolved {
		t.Error("what was resolved was opened again")
	}
	for _, name := range []string{"", "x", "/a/b", "/a/.json", "/a/1.resolved.json"} {
		if _, err := conflict.Edit(s, tree).File(t.Context(), name, []byte(file)); err == nil || conflict.ValidName(name) {
			t.Errorf("%q is taken for a record's name", name)
		}
	}
}

func TestC2Kept(t *testing.T) {
	t.Parallel()
	s := objects{}
	tree := filed(t, s, gitobj.Zero, "/registry/a/1f.json", "/registry/a/10.json")
	b := conflict.Edit(s, tree)
	when := time.Date(2026, 11, 22, 1, 2, 3, 0, time.FixedZone("x", 3600))
	for id, want := range map[string]error{"1": conflict.ErrAmbiguous, "2": conflict.ErrNotFound, "": conflict.ErrNotFound} {
		if _, _, err := b.Resolve(t.Context(), id, conflict.Resolution{By: "jane", When: when, Decision: conflict.Seen}); !errors.Is(err, want) {
			t.Errorf("resolve %q: %v, want %v", id, err, want)
		}
	}
	e, r, err := b.Resolve(t.Context(), "1f", conflict.Resolution{By: "jane", When: when, Decision: conflict.TookOther, Note: "a <b>"})
	if err != nil || !e.Resolved || r.Resolved.By != "jane" {
		t.Fatalf("%+v %+v: %v", e, r, err)
	}
	if tree, err = b.Write(t.Context(), s.emit); err != nil {
		t.Fatal(err)
	}
	all := s.list(t, tree)
	if len(all) != 2 || all["/registry/a 10"].Resolved || !all["/registry/a 1f"].Resolved {
		t.Fatalf("records: %+v", all)
	}
	_, data, err := s.Get(all["/registry/a 1f"].Blob)
	if err != nil || !strings.HasPrefix(string(data), strings.TrimSuffix(file, "\n}\n")+",\n \"resolved\": {\n") {
		t.Errorf("the record has changed beyond its resolution: %s: %v", data, err)
	}
	if r, err = conflict.Read(s, all["/registry/a 1f"]); err != nil || r.Resolved == nil || r.Resolved.Decision != conflict.TookOther || !r.Resolved.When.Equal(when) {
		t.Errorf("read back: %+v: %v", r, err)
	}
	if _, _, err := conflict.Edit(s, tree).Resolve(t.Context(), "1f", conflict.Resolution{By: "joe", Decision: conflict.Seen}); !errors.Is(err, conflict.ErrResolved) {
		t.Errorf("resolved twice: %v", err)
	}
}
