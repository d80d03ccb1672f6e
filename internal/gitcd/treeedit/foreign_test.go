// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// file is an entry of a tree that others made.
type file struct {
	mode uint32
	blob gitobj.ID
}

// tree makes a tree of files by path, whatever their names.
func (m *memory) tree(files map[string]file) gitobj.ID {
	var t gitobj.Tree
	below := map[string]map[string]file{}
	for path, f := range files {
		name, rest, deep := strings.Cut(path, "/")
		if !deep {
			t = append(t, gitobj.Entry{Mode: f.mode, Name: name, ID: f.blob})
			continue
		}
		if below[name] == nil {
			below[name] = map[string]file{}
		}
		below[name][rest] = f
	}
	for name, files := range below {
		t = append(t, gitobj.Entry{Mode: gitobj.ModeDir, Name: name, ID: m.tree(files)})
	}
	slices.SortFunc(t, gitobj.Entry.Compare)
	return m.put(gitobj.KindTree, t.Encode())
}

// files lists a tree as it is.
func (m *memory) files(t rapid.TB, root gitobj.ID) map[string]file {
	t.Helper()
	out := map[string]file{}
	_, data, err := m.Get(root)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := gitobj.DecodeTree(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tree {
		if !e.IsDir() {
			out[e.Name] = file{e.Mode, e.ID}
			continue
		}
		for path, f := range m.files(t, e.ID) {
			out[e.Name+"/"+path] = f
		}
	}
	return out
}

// look walks a tree and returns its keys, and what is no key's.
func (m *memory) look(t rapid.TB, root gitobj.ID) (keys map[string]gitobj.ID, others []string) {
	t.Helper()
	keys = map[string]gitobj.ID{}
	err := treeedit.WalkAll(context.Background(), m, root, func(key string, blob gitobj.ID) error {
		if _, twice := keys[key]; twice {
			t.Errorf("%q comes twice", key)
		}
		keys[key] = blob
		return nil
	}, func(path string) error {
		others = append(others, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, others
}

const (
	modeExec = 0o100755
	modeLink = 0o120000
	modeSub  = 0o160000
)

// TestT6NamesOfOthers looks at a tree as people make them.
func TestT6NamesOfOthers(t *testing.T) {
	m := newMemory()
	v := m.put(gitobj.KindBlob, []byte("v"))
	w := m.put(gitobj.KindBlob, []byte("w"))
	long := strings.Repeat("ü", 100)
	root := m.tree(map[string]file{
		"README.md": {gitobj.ModeFile, v}, "my file": {gitobj.ModeFile, v}, ".gitignore": {gitobj.ModeFile, v}, "run.sh": {modeExec, v},
		"a b/ü": {gitobj.ModeFile, v}, "100%": {gitobj.ModeFile, v}, "x%20y": {gitobj.ModeFile, v},
		"link": {modeLink, v}, "sub": {modeSub, v}, "%": {gitobj.ModeFile, v}, long: {gitobj.ModeFile, v},
	})
	keys, others := m.look(t, root)
	want := map[string]gitobj.ID{
		"/README.md": v, "/my file": v, "/.gitignore": v, "/run.sh": v, "/a b/ü": v, "/100%": v, "/x y": v,
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error(diff)
	}
	slices.Sort(others)
	if diff := cmp.Diff([]string{"%", "link", "sub", long}, others); diff != "" {
		t.Error(diff)
	}
	e := treeedit.New(m, root)
	ctx := t.Context()
	for _, err := range []error{
		e.Set(ctx, "/my file", w), e.Set(ctx, "/a b/ü", w), e.Set(ctx, "/a b/new one", w), e.Set(ctx, "/run.sh", w), e.Delete(ctx, "/.gitignore"),
		e.Delete(ctx, "/link"), e.Set(ctx, "/sub/x", w), e.Set(ctx, "/100%/below", w),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	next, err := e.Write(ctx, m.emit)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]file{
		"README.md": {gitobj.ModeFile, v}, "my file": {gitobj.ModeFile, w}, "run.sh": {modeExec, w},
		"a b/ü": {gitobj.ModeFile, w}, "a b/new%20one": {gitobj.ModeFile, w}, "100%/%": {gitobj.ModeFile, v}, "100%/below": {gitobj.ModeFile, w},
		"x%20y": {gitobj.ModeFile, v}, "link": {modeLink, v}, "sub/x": {gitobj.ModeFile, w}, "%": {gitobj.ModeFile, v}, long: {gitobj.ModeFile, v},
	}, m.files(t, next), cmp.AllowUnexported(file{})); diff != "" {
		t.Error(diff)
	}
	blob, found, err := treeedit.Lookup(ctx, m, next, "/a b/ü")
	if err != nil || !found || blob != w {
		t.Errorf("look up: %v %v %v", blob, found, err)
	}
	if _, found, err := treeedit.Lookup(ctx, m, next, "/link"); err != nil || found {
		t.Errorf("look up of a link: %v %v", found, err)
	}
}

// TestT5Refused has sides differ in what is no key's.
func TestT5Refused(t *testing.T) {
	m := newMemory()
	v := m.put(gitobj.KindBlob, []byte("v"))
	w := m.put(gitobj.KindBlob, []byte("w"))
	join := func(base, theirs gitobj.ID) error {
		skip := func(ids []gitobj.ID) bool { return ids[1] == ids[0] }
		return treeedit.Join(t.Context(), m, []gitobj.ID{base, theirs}, skip, func(string, []gitobj.ID) error { return nil })
	}
	a := m.tree(map[string]file{"d/link": {modeLink, v}, "x": {gitobj.ModeFile, v}})
	if err := join(a, m.tree(map[string]file{"d/link": {modeLink, v}, "x": {gitobj.ModeFile, w}})); err != nil {
		t.Errorf("the link is the same: %v", err)
	}
	for _, other := range []map[string]file{
		{"d/link": {modeLink, w}, "x": {gitobj.ModeFile, v}},
		{"d/y": {gitobj.ModeFile, w}, "x": {gitobj.ModeFile, v}},
		{"d/link": {gitobj.ModeFile, w}, "x": {gitobj.ModeFile, v}},
	} {
		b := m.tree(other)
		if err := join(a, b); !errors.Is(err, treeedit.ErrNoKey) || !strings.Contains(err.Error(), `"d/link"`) {
			t.Errorf("%v: %v", other, err)
		}
		if err := treeedit.Diff(t.Context(), m, a, b, func(string, gitobj.ID, gitobj.ID) error { return nil }); err != nil {
			t.Errorf("diff: %v", err)
		}
	}
}

// TestT6TwoNames refuses a directory in which two names are one key's.
func TestT6TwoNames(t *testing.T) {
	m := newMemory()
	v := m.put(gitobj.KindBlob, []byte("v"))
	both := m.tree(map[string]file{"d/a b": {gitobj.ModeFile, v}, "d/a%20b/c": {gitobj.ModeFile, v}})
	err := treeedit.Walk(t.Context(), m, both, func(string, gitobj.ID) error { return nil })
	if !errors.Is(err, gitobj.ErrMalformed) || !strings.Contains(err.Error(), "two names for one key") {
		t.Errorf("walk: %v", err)
	}
}

// TestT6Model compares edits of trees with any names with a map of keys.
func TestT6Model(t *testing.T) {
	names := []string{"a", "a b", "a%20b", "%", "ü", "%C3%BC", ".git~", ".gitx", "%2Egitx", "%-", "%_", "x%+", "b"}
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		blobs := []gitobj.ID{m.put(gitobj.KindBlob, []byte("v")), m.put(gitobj.KindBlob, []byte("w")), m.put(gitobj.KindBlob, []byte("x"))}
		name, blob := rapid.SampledFrom(names), rapid.SampledFrom(blobs)
		mode := rapid.SampledFrom([]uint32{gitobj.ModeFile, gitobj.ModeFile, modeExec, modeLink, modeSub})
		files, dirs := map[string]file{}, map[string]bool{}
		taken := map[string]string{}
		free := func(dir, name string) bool { // whether no other name in the directory is the same key's
			comp, ok := layout.Component(name)
			if was, seen := taken[dir+"/"+comp]; ok && seen && was != name {
				return false
			}
			taken[dir+"/"+comp] = name
			return true
		}
		for range rapid.IntRange(0, 12).Draw(t, "files") {
			path := name.Draw(t, "name")
			if !free("", path) {
				continue
			}
			if rapid.Bool().Draw(t, "deep") {
				dir := path
				below := name.Draw(t, "below")
				if _, ok := files[dir]; ok || !free(dir, below) {
					continue
				}
				path += "/" + below
				dirs[dir] = true
			} else if dirs[path] {
				continue
			}
			files[path] = file{mode.Draw(t, "mode"), blob.Draw(t, "blob")}
		}
		before := m.tree(files)
		keys, _ := m.look(t, before)
		model := maps.Clone(keys)
		e := treeedit.New(m, before)
		edits := rapid.SliceOfN(name, 0, 8).Draw(t, "edits")
		for _, n := range edits {
			parts := []string{n}
			if rapid.Bool().Draw(t, "deep") {
				parts = append(parts, name.Draw(t, "below"))
			}
			key := "/" + strings.Join(parts, "/")
			if rapid.Bool().Draw(t, "delete") {
				if _, ok := model[key]; !ok {
					continue // who deletes what is not there deletes nothing: the store sees to it
				}
				delete(model, key)
				_ = e.Delete(t.Context(), key)
				continue
			}
			model[key] = blob.Draw(t, "value")
			_ = e.Set(t.Context(), key, model[key])
		}
		after, err := e.Write(t.Context(), m.emit)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := m.look(t, after)
		if diff := cmp.Diff(model, got); diff != "" {
			t.Fatalf("%v\n%s", m.files(t, after), diff)
		}
		changed := map[string]gitobj.ID{}
		err = treeedit.Diff(t.Context(), m, before, after, func(key string, a, b gitobj.ID) error {
			if keys[key] != a || model[key] != b || a == b {
				t.Fatalf("diff of %q: %s, %s", key, a, b)
			}
			changed[key] = b
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for key := range model {
			if _, ok := changed[key]; ok != (keys[key] != model[key]) {
				t.Fatalf("diff has %q: %v", key, ok)
			}
		}
		for key := range keys {
			if got, found, err := treeedit.Lookup(t.Context(), m, before, key); err != nil || !found || got != keys[key] {
				t.Fatalf("look up %q: %s %v %v", key, got, found, err)
			}
			if _, err := layout.Join(layout.Split(key)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
