// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// memory is an object store that checks what it is given.
type memory struct {
	objects map[gitobj.ID][]byte
	kinds   map[gitobj.ID]gitobj.Kind
	reads   int
	fail    error
}

func newMemory() *memory {
	return &memory{objects: map[gitobj.ID][]byte{}, kinds: map[gitobj.ID]gitobj.Kind{}}
}

func (m *memory) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	m.reads++
	if m.fail != nil {
		return 0, nil, m.fail
	}
	data, ok := m.objects[id]
	if !ok {
		return 0, nil, fmt.Errorf("get %s: not there", id)
	}
	return m.kinds[id], data, nil
}

func (m *memory) put(k gitobj.Kind, data []byte) gitobj.ID {
	id := gitobj.Hash(k, data)
	m.objects[id], m.kinds[id] = data, k
	return id
}

// emit stores a tree: its entries must be there (law T4), and its delta must say the same.
func (m *memory) emit(o treeedit.Object) error {
	tree, err := gitobj.DecodeTree(o.Data)
	if err != nil {
		return err
	}
	for _, e := range tree {
		if _, ok := m.objects[e.ID]; !ok {
			return fmt.Errorf("tree names %s %q before it is there", e.ID, e.Name)
		}
	}
	if o.Delta != nil {
		got, err := packfile.PatchDelta(m.objects[o.Base], o.Delta)
		if err != nil || !bytes.Equal(got, o.Data) {
			return fmt.Errorf("delta of %d bytes does not give the tree: %w", len(o.Delta), err)
		}
	}
	if id := m.put(o.Kind, o.Data); id != o.ID {
		return fmt.Errorf("emitted as %s, is %s", o.ID, id)
	}
	return nil
}

// build writes a tree of a set of keys in one go.
func (m *memory) build(t rapid.TB, keys map[string]gitobj.ID) gitobj.ID {
	t.Helper()
	e := treeedit.New(m, gitobj.Zero)
	for key, blob := range keys {
		if err := e.Set(context.Background(), key, blob); err != nil {
			t.Fatal(err)
		}
	}
	root, err := e.Write(context.Background(), m.emit)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (m *memory) walk(t rapid.TB, root gitobj.ID) map[string]gitobj.ID {
	t.Helper()
	got := map[string]gitobj.ID{}
	err := treeedit.Walk(context.Background(), m, root, func(key string, blob gitobj.ID) error {
		if _, ok := got[key]; ok {
			return fmt.Errorf("key %q comes twice", key)
		}
		got[key] = blob
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var (
	genKey = rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "/", "//"}).Draw(t, "root") +
			strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a.b", "a-", "b", "", "%", strings.Repeat("x", 450)}), 1, 4).Draw(t, "parts"), "/")
	})
	genValue = rapid.SampledFrom([]string{"1", "2", "3"})
)

// TestT1Canonical makes edits in rounds, by editors that last and by fresh
// ones, and compares with a tree that is built of the end result in one go.
func TestT1Canonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		m := newMemory()
		e := treeedit.New(m, gitobj.Zero)
		model := map[string]gitobj.ID{}
		var root gitobj.ID
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			before := maps.Clone(model)
			was := root
			for range rapid.IntRange(0, 8).Draw(t, "edits") {
				key := genKey.Draw(t, "key")
				if rapid.Bool().Draw(t, "delete") {
					delete(model, key)
					if err := e.Delete(ctx, key); err != nil {
						t.Fatal(err)
					}
					continue
				}
				model[key] = m.put(gitobj.KindBlob, []byte(genValue.Draw(t, "value")))
				if err := e.Set(ctx, key, model[key]); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			if root, err = e.Write(ctx, m.emit); err != nil {
				t.Fatal(err)
			}
			if want := m.build(t, model); root != want {
				t.Fatalf("edited %s, built %s:\n%s", root, want, cmp.Diff(m.walk(t, want), m.walk(t, root)))
			}
			if diff := cmp.Diff(model, m.walk(t, root)); diff != "" {
				t.Fatal(diff)
			}
			checkDiff(t, m, was, root, before, model)
			for key, blob := range model {
				if got, found, err := treeedit.Lookup(ctx, m, root, key); err != nil || !found || got != blob {
					t.Fatalf("Lookup(%q) = %s, %v, %v", key, got, found, err)
				}
			}
			if rapid.Bool().Draw(t, "restart") {
				e = treeedit.New(m, root)
			}
		}
	})
}

func checkDiff(t *rapid.T, m *memory, a, b gitobj.ID, before, after map[string]gitobj.ID) {
	t.Helper()
	type change struct{ A, B gitobj.ID }
	want := map[string]change{}
	for key := range before {
		if before[key] != after[key] {
			want[key] = change{before[key], after[key]}
		}
	}
	for key := range after {
		if before[key] != after[key] {
			want[key] = change{before[key], after[key]}
		}
	}
	got := map[string]change{}
	err := treeedit.Diff(context.Background(), m, a, b, func(key string, x, y gitobj.ID) error {
		if _, ok := got[key]; ok {
			return fmt.Errorf("key %q comes twice", key)
		}
		got[key] = change{x, y}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// wide returns keys of many directories.
func wide(m *memory, dirs, each int) map[string]gitobj.ID {
	keys := map[string]gitobj.ID{}
	for i := range dirs {
		for k := range each {
			key := fmt.Sprintf("/registry/pods/ns-%03d/pod-%05d", i, k)
			keys[key] = m.put(gitobj.KindBlob, []byte(key))
		}
	}
	return keys
}

func TestT2ByTheChange(t *testing.T) {
	m := newMemory()
	keys := wide(m, 50, 20)
	a := m.build(t, keys)
	e := treeedit.New(m, a)
	blob := m.put(gitobj.KindBlob, []byte("new"))
	const key = "/registry/pods/ns-007/pod-00003"
	emitted := 0
	write := func() gitobj.ID {
		if err := e.Set(t.Context(), key, blob); err != nil {
			t.Fatal(err)
		}
		root, err := e.Write(t.Context(), func(o treeedit.Object) error { emitted++; return m.emit(o) })
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	m.reads = 0
	b := write()
	if m.reads != 4 || emitted != 4 {
		t.Errorf("one edit four levels deep read %d and wrote %d trees; want 4 and 4", m.reads, emitted)
	}
	m.reads, emitted = 0, 0
	if again := write(); again != b || m.reads != 0 || emitted != 0 {
		t.Errorf("the same edit again read %d and wrote %d trees", m.reads, emitted)
	}
	m.reads = 0
	n := 0
	err := treeedit.Diff(t.Context(), m, a, b, func(string, gitobj.ID, gitobj.ID) error { n++; return nil })
	if err != nil || n != 1 || m.reads != 8 {
		t.Errorf("diff of one edit: %d keys, %d trees read, %v; want 1 and 8", n, m.reads, err)
	}
}

func TestT3WholeOrNot(t *testing.T) {
	m := newMemory()
	model := wide(m, 3, 3)
	e := treeedit.New(m, m.build(t, model))
	broken := errors.New("broken")
	for i, key := range slices.Sorted(maps.Keys(model))[:4] {
		if i%2 == 0 {
			delete(model, key)
			if err := e.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			continue
		}
		model[key+"/below"] = m.put(gitobj.KindBlob, []byte("below"))
		if err := e.Set(t.Context(), key+"/below", model[key+"/below"]); err != nil {
			t.Fatal(err)
		}
	}
	for after := range 3 {
		emitted := 0
		_, err := e.Write(t.Context(), func(o treeedit.Object) error {
			if emitted++; emitted > after {
				return broken
			}
			return m.emit(o)
		})
		if !errors.Is(err, broken) {
			t.Fatalf("write that fails after %d objects: %v", after, err)
		}
	}
	got, err := e.Write(t.Context(), m.emit)
	if err != nil {
		t.Fatal(err)
	}
	if want := m.build(t, model); got != want {
		t.Error(cmp.Diff(m.walk(t, want), m.walk(t, got)))
	}
	fresh := treeedit.New(m, got)
	m.fail = broken
	if err := fresh.Delete(t.Context(), "/registry/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Write(t.Context(), m.emit); !errors.Is(err, broken) {
		t.Errorf("a tree that cannot be read is taken for empty: %v", err)
	}
}

func TestT5NothingSilent(t *testing.T) {
	m := newMemory()
	blob := m.put(gitobj.KindBlob, []byte("v"))
	sub := m.put(gitobj.KindTree, gitobj.Tree{{Mode: gitobj.ModeFile, Name: "x", ID: blob}}.Encode())
	entry := func(mode uint32, name string, id gitobj.ID) []byte {
		return gitobj.AppendEntry(nil, gitobj.Entry{Mode: mode, Name: name, ID: id})
	}
	for name, data := range map[string][]byte{
		"twice":     append(append(entry(gitobj.ModeFile, "a", blob), entry(gitobj.ModeFile, "a.b", blob)...), entry(gitobj.ModeDir, "a", sub)...),
		"unordered": append(entry(gitobj.ModeFile, "b", blob), entry(gitobj.ModeFile, "a", blob)...),
		"cut":       entry(gitobj.ModeFile, "a", blob)[:20],
		"no mode":   []byte("a"),
	} {
		root := m.put(gitobj.KindTree, data)
		if err := treeedit.Walk(t.Context(), m, root, func(string, gitobj.ID) error { return nil }); err == nil {
			t.Errorf("walk, %s: no error", name)
		}
	}
	// The same name in two forms, seen by two trees that differ in it.
	twice := m.put(gitobj.KindTree, append(entry(gitobj.ModeFile, "a", blob), entry(gitobj.ModeDir, "a", sub)...))
	for _, other := range []gitobj.ID{
		gitobj.Zero,
		m.put(gitobj.KindTree, entry(gitobj.ModeFile, "a", blob)),
		m.put(gitobj.KindTree, entry(gitobj.ModeDir, "a", sub)),
	} {
		for _, pair := range [][2]gitobj.ID{{twice, other}, {other, twice}} {
			err := treeedit.Diff(t.Context(), m, pair[0], pair[1], func(string, gitobj.ID, gitobj.ID) error { return nil })
			if !errors.Is(err, gitobj.ErrMalformed) {
				t.Errorf("diff of a name that comes twice with %s: %v", other, err)
			}
		}
	}
	e := treeedit.New(m, twice)
	if err := e.Set(t.Context(), "/a", sub); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(t.Context(), m.emit); !errors.Is(err, gitobj.ErrMalformed) {
		t.Errorf("edit of a name that comes twice: %v", err)
	}
	if err := e.Set(t.Context(), "/a", gitobj.Zero); err == nil {
		t.Error("a key was set to no blob")
	}
	if err := treeedit.Walk(t.Context(), m, blob, func(string, gitobj.ID) error { return nil }); !errors.Is(err, gitobj.ErrMalformed) {
		t.Errorf("walk of a blob: %v", err)
	}
}

// TestGitAgrees has stock Git list the trees that were written.
func TestGitAgrees(t *testing.T) {
	gitDir := t.TempDir()
	git := func(stdin []byte, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Stdin = t.TempDir(), bytes.NewReader(stdin)
		cmd.Env = append(cmd.Environ(), "GIT_DIR="+gitDir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git(nil, "init", "-q", "--bare", gitDir)
	m := newMemory()
	model := map[string]gitobj.ID{}
	for _, key := range []string{"/a", "/a/b", "/a//b", "a", "", "/", "/.git/config", "/..", "/a.b", "/a-/x", "/\x00\xff", "/" + strings.Repeat("y", 700)} {
		model[key] = m.put(gitobj.KindBlob, []byte(key))
	}
	root := m.build(t, model)
	for id, data := range m.objects {
		if got := git(data, "hash-object", "-w", "--literally", "--stdin", "-t", m.kinds[id].String()); got != id.String() {
			t.Fatalf("object %s: git says %s", id, got)
		}
	}
	git(nil, "fsck", "--strict", root.String())
	got := map[string]gitobj.ID{}
	for line := range strings.SplitSeq(git(nil, "ls-tree", "-r", root.String()), "\n") {
		meta, path, _ := strings.Cut(line, "\t")
		key, err := layout.Join(strings.Split(path, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if got[key], err = gitobj.ParseID(strings.Fields(meta)[2]); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(model, got); diff != "" {
		t.Error(diff)
	}
}

func TestForgetsWhatIsNotUsed(t *testing.T) {
	m := newMemory()
	model := map[string]gitobj.ID{} // some 20 MB of trees
	for i := range 40 {
		for k := range 2200 {
			key := fmt.Sprintf("/registry/pods/ns-%03d/%s-%05d", i, strings.Repeat("x", 190), k)
			model[key] = m.put(gitobj.KindBlob, []byte(key))
		}
	}
	e := treeedit.New(m, m.build(t, model))
	blob := m.put(gitobj.KindBlob, []byte("new"))
	for key := range model {
		if !strings.HasSuffix(key, "-00000") {
			continue
		}
		model[key] = blob
		if err := e.Set(t.Context(), key, blob); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(t.Context(), m.emit); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Write(t.Context(), m.emit)
	if err != nil {
		t.Fatal(err)
	}
	if want := m.build(t, model); got != want {
		t.Error("the tree differs after directories were forgotten and read again")
	}
}
