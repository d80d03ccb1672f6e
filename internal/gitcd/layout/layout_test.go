// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

var keys = []struct{ key, path string }{
	{"/registry/pods/default/x", "registry/pods/default/x"},
	{"compact_rev_key", "%-/compact_rev_key"},
	{"", "%-/%_"},
	{"/", "%_"},
	{"//", "%_/%_"},
	{"/a//b/", "a/%_/b/%_"},
	{"a/b", "%-/a/b"},
	{"/a b", "a%20b"},
	{"/%", "%25"},
	{"/.", "%2E"},
	{"/..", "%2E."},
	{"/...", "..."},
	{"/.git", "%2Egit"},
	{"/.GITmodules", "%2EGITmodules"},
	{"/.gi", ".gi"},
	{"/git~1", "git%7E1"},
	{"/\x00\xff\x7f", "%00%FF%7F"},
	{"/system:node:x", "system%3Anode%3Ax"},
	{"/" + strings.Repeat("a", 198), strings.Repeat("a", 198)},
	{"/" + strings.Repeat("a", 199), strings.Repeat("a", 198) + "%+/a"},
	{"/" + strings.Repeat("a", 198) + ".git", strings.Repeat("a", 198) + "%+/%2Egit"},
	{"/" + strings.Repeat("a", 198) + ".", strings.Repeat("a", 198) + "%+/%2E"},
}

func TestKeys(t *testing.T) {
	for _, c := range keys {
		if got := layout.Path(c.key); got != c.path {
			t.Errorf("Path(%q) = %q, want %q", c.key, got, c.path)
		}
		for _, path := range []string{c.path, c.path + "/" + layout.Self} {
			if got, err := layout.Join(strings.Split(path, "/")); err != nil || got != c.key {
				t.Errorf("Join(%q) = %q, %v; want %q", path, got, err, c.key)
			}
		}
	}
}

func TestL2NotCanonical(t *testing.T) {
	for _, path := range []string{"", "%", "%/%", "%-", "a/", "%61", "%2f", "%2e", "%2E2E", ".git", "a/..", "%+", "a%+", "a%+/b", "%_%+/a", "%-/%-", "a\x01", "%4"} {
		if key, err := layout.Join(strings.Split(path, "/")); !errors.Is(err, layout.ErrNotCanonical) {
			t.Errorf("Join(%q) = %q, %v; want ErrNotCanonical", path, key, err)
		}
	}
}

func checkKey(t rapid.TB, key string) {
	t.Helper()
	comps := layout.Split(key)
	for _, c := range comps {
		if c == "" || c == "." || c == ".." || c == layout.Self || len(c) > 204 || strings.HasPrefix(strings.ToLower(c), ".git") {
			t.Errorf("key %q has the component %q", key, c)
		}
	}
	if got, err := layout.Join(comps); err != nil || got != key {
		t.Errorf("Join(Split(%q)) = %q, %v", key, got, err)
	}
}

func FuzzKeyRoundTrip(f *testing.F) {
	for _, c := range keys {
		f.Add(c.key)
		f.Add(c.path)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkKey(t, s)
		comps := strings.Split(s, "/")
		if key, err := layout.Join(comps); err == nil && len(comps) > 1 && comps[len(comps)-1] != layout.Self {
			if !slices.Equal(layout.Split(key), comps) {
				t.Errorf("two paths for %q: %q", key, s)
			}
		}
	})
}

func TestL1Injective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.StringOfN(rapid.SampledFrom([]rune("/%.+-_a\x00g")), 0, 12, -1)
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		checkKey(t, a)
		if a != b && layout.Path(a) == layout.Path(b) {
			t.Fatalf("%q and %q share the path %q", a, b, layout.Path(a))
		}
	})
}

// TestL3FsckClean puts every byte, and every name of the table, into one tree.
func TestL3FsckClean(t *testing.T) {
	dir := t.TempDir()
	git := func(stdin []byte, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git(nil, "init", "-q", "--bare", ".")
	blob, err := gitobj.ParseID(git([]byte("v"), "hash-object", "-w", "--stdin"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{layout.Self: true, layout.Rootless: true}
	for _, c := range keys {
		for _, comp := range layout.Split(c.key) {
			names[comp] = true
		}
	}
	for b := range 256 {
		for _, format := range []string{"/%c", "/.%c", "/.git%c", "/a%c"} {
			for _, comp := range layout.Split(strings.ReplaceAll(format, "%c", string([]byte{byte(b)}))) {
				names[comp] = true
			}
		}
	}
	var tree gitobj.Tree
	for name := range names {
		tree = append(tree, gitobj.Entry{Mode: gitobj.ModeFile, Name: name, ID: blob})
	}
	tree.Sort()
	git(tree.Encode(), "hash-object", "-t", "tree", "-w", "--stdin")
	if out := git(nil, "fsck", "--strict", "--no-dangling"); strings.Contains(out, "tree") {
		t.Errorf("fsck: %s", out)
	}
}

var values = []struct{ name, value, blob string }{
	{"empty", "", ""},
	{"text", "hello", "hello"},
	{"object", `{"a":1,"b":[true,{}],"c":"x y"}`, "{\n \"a\": 1,\n \"b\": [\n  true,\n  {}\n ],\n \"c\": \"x y\"\n}"},
	{"object and newline", "{\"a\":1}\n", "{\n \"a\": 1\n}\n"},
	{"empty object", "{}\n", "{}\n"},
	{"spaces", `{"a": 1}`, `{"a": 1}`},
	{"two newlines", "{}\n\n", "{}\n\n"},
	{"already indented", "{\n \"a\": 1\n}", "%gitcd raw\n{\n \"a\": 1\n}"},
	{"marker", "%gitcd raw\nx", "%gitcd raw\n%gitcd raw\nx"},
	{"other marker", "%gitcd v9\n", "%gitcd raw\n%gitcd v9\n"},
	{"quotes", `{"a":"\"{[,:\\"}`, "{\n \"a\": \"\\\"{[,:\\\\\"\n}"},
	{"cut", `{"a":`, `{"a":`},
	{"two", `{}{}`, `{}{}`},
	{"crossed", `[{]}`, `[{]}`},
	{"control in string", "{\"a\":\"\x01\"}", "{\"a\":\"\x01\"}"},
	{"encrypted", "k8s:enc:secretbox:v1:key1:\x00\x01", "k8s:enc:secretbox:v1:key1:\x00\x01"},
}

func TestValues(t *testing.T) {
	for _, c := range values {
		if got := layout.Blob([]byte(c.value)); string(got) != c.blob {
			t.Errorf("%s: Blob = %q, want %q", c.name, got, c.blob)
		}
		if got, err := layout.Value([]byte(c.blob)); err != nil || string(got) != c.value {
			t.Errorf("%s: Value = %q, %v; want %q", c.name, got, err, c.value)
		}
	}
	if _, err := layout.Value([]byte("%gitcd v9\nx")); !errors.Is(err, layout.ErrUnknownMarker) {
		t.Errorf("a later version's blob: have %v", err)
	}
}

// TestIndentIsJSONs compares with the standard library's indentation.
func TestIndentIsJSONs(t *testing.T) {
	value := []byte(`{"kind":"Pod","a":[],"b":[[],[1,-2.5e+3,null]],"c":{"d":{}},"e":"\u003c"}`)
	var want bytes.Buffer
	if err := json.Indent(&want, value, "", " "); err != nil {
		t.Fatal(err)
	}
	if got := layout.Blob(value); string(got) != want.String() {
		t.Errorf("have %s\nwant %s", got, want.String())
	}
}

// TestIndentIsBounded stores nesting that would explode as it is.
func TestIndentIsBounded(t *testing.T) {
	deep := strings.Repeat("[", 150)
	for name, value := range map[string]string{
		"deep": strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"wide": deep + strings.Repeat("1,", 100_000) + "1" + strings.Repeat("]", 150),
	} {
		if got := layout.Blob([]byte(value)); string(got) != value {
			t.Errorf("%s: %d bytes became %d", name, len(value), len(got))
		}
	}
}

func FuzzValueRoundTrip(f *testing.F) {
	for _, c := range values {
		f.Add([]byte(c.value), []byte(c.blob))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, v := range [][]byte{a, b} {
			got, err := layout.Value(layout.Blob(v))
			if err != nil || !bytes.Equal(got, v) {
				t.Errorf("Value(Blob(%q)) = %q, %v", v, got, err)
			}
		}
		if !bytes.Equal(a, b) && bytes.Equal(layout.Blob(a), layout.Blob(b)) {
			t.Errorf("%q and %q share a blob", a, b)
		}
		if v, err := layout.Value(a); err == nil {
			if again, err := layout.Value(layout.Blob(v)); err != nil || !bytes.Equal(again, v) {
				t.Errorf("foreign blob %q: value %q came back as %q, %v", a, v, again, err)
			}
		}
	})
}

func TestGrains(t *testing.T) {
	grains := layout.DefaultGrains()
	for key, want := range map[string]layout.Grain{
		"compact_rev_key":                              layout.Local,
		"/registry/health":                             layout.Local,
		"/registry/masterleases/10.0.0.1":              layout.Local,
		"/registry/leases/kube-system/apiserver-abc":   layout.Local,
		"/registry/leases/kube-system/kube-controller": layout.Batch,
		"/registry/leases/kube-node-lease/n1":          layout.Batch,
		"/registry/pods/default/x":                     layout.Full,
		"":                                             layout.Full,
	} {
		if got := grains.Of(key); got != want {
			t.Errorf("%q: have %s, want %s", key, got, want)
		}
	}
}

func pod() []byte {
	var b bytes.Buffer
	b.WriteString(`{"kind":"Pod","apiVersion":"v1","items":[`)
	for i := range 40 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"container-%d","image":"registry/app:1","env":[{"name":"A","value":"b"}]}`, i)
	}
	b.WriteString("]}\n")
	return b.Bytes()
}

func BenchmarkBlob(b *testing.B) {
	value := pod()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		layout.Blob(value)
	}
}

func BenchmarkValue(b *testing.B) {
	blob := layout.Blob(pod())
	b.SetBytes(int64(len(blob)))
	for b.Loop() {
		if _, err := layout.Value(blob); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLiteral gives others' names to components, but none that a tree cannot hold.
func TestLiteral(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"my file": "my file", "b\x00": "", "plain": ""} {
		path := layout.Split(key)
		if have := layout.Literal(path[len(path)-1]); have != want {
			t.Errorf("%q: %q, want %q", key, have, want)
		}
	}
}
