// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// object is an object as a hostile client sends it.
type object struct {
	kind gitobj.Kind
	data []byte
}

func (o object) id() gitobj.ID { return gitobj.Hash(o.kind, o.data) }

func blob(text string) object { return object{gitobj.KindBlob, []byte(text)} }

// rawTree is a tree with any entries, in the order given.
func rawTree(entries ...gitobj.Entry) object {
	return object{gitobj.KindTree, gitobj.Tree(entries).Encode()}
}

func file(name string, o object) gitobj.Entry {
	return gitobj.Entry{Mode: gitobj.ModeFile, Name: name, ID: o.id()}
}

func dir(name string, o object) gitobj.Entry {
	return gitobj.Entry{Mode: gitobj.ModeDir, Name: name, ID: o.id()}
}

func commitOf(tree object, parents ...gitobj.ID) object {
	who := gitobj.Signature{Name: "m", Email: "m@example.org", When: time.Unix(1_700_000_000, 0).UTC()}
	return object{gitobj.KindCommit, gitobj.Commit{Tree: tree.id(), Parents: parents, Author: who, Committer: who, Message: "m\n"}.Encode()}
}

func packOf(tb testing.TB, objects ...object) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := pack.NewWriter(&out, len(objects))
	for _, o := range objects {
		if err := w.WriteObject(o.kind, o.data); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// request is a push's body.
func request(packed []byte, commands ...Command) []byte {
	var out bytes.Buffer
	w := &lineWriter{w: &out}
	for i, c := range commands {
		caps := ""
		if i == 0 {
			caps = "\x00report-status"
		}
		w.linef("%s %s %s%s", c.Old, c.New, c.Name, caps)
	}
	w.flush()
	out.Write(packed)
	return out.Bytes()
}

func post(tb testing.TB, url, service string, header http.Header, body []byte) (code int, answer string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url+"/"+service, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	maps.Copy(req.Header, header)
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/x-"+service+"-request")
	}
	resp, err := httpClient().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestHostilePushes sends what no honest client sends. Each push is refused
// with a text that says why, and leaves nothing behind (laws T1 to T4).
func TestHostilePushes(t *testing.T) {
	a, b := blob("a"), blob("b")
	good := rawTree(file("a", a))
	deep := good
	var nested []object
	for range 1100 {
		deep = rawTree(dir("d", deep))
		nested = append(nested, deep)
	}
	padded := object{gitobj.KindTree, append([]byte("0100644 a\x00"), func() []byte { id := a.id(); return id[:] }()...)}
	unreadable := object{gitobj.KindCommit, []byte("tree nonsense\n\n")}
	truncated := packOf(t, a, good, commitOf(good))
	wrongSum := bytes.Clone(truncated)
	wrongSum[len(wrongSum)-1] ^= 1
	wrongCount := bytes.Clone(truncated)
	binary.BigEndian.PutUint32(wrongCount[8:], 2)
	bomb := packOf(t, object{gitobj.KindBlob, make([]byte, 3<<20)}, good, commitOf(good))
	for _, c := range []struct {
		name string
		tip  object
		pack []byte
		want string
	}{
		{"a blob is missing", commitOf(good), packOf(t, good, commitOf(good)), "blob " + a.id().String() + " of /a neither came along nor was there"},
		{"a tree is missing", commitOf(good), packOf(t, a, commitOf(good)), "tree " + good.id().String()},
		{"a parent is missing", commitOf(good, gitobj.ID{7}), packOf(t, a, good, commitOf(good, gitobj.ID{7})), "commit 07000"},
		{"the tip is missing", commitOf(good), packOf(t, a), "neither came along nor was there"},
		{"the tip is a blob", a, packOf(t, a), "it is a blob"},
		{"the tip is a tag", object{gitobj.KindTag, []byte("object x\n")}, packOf(t, object{gitobj.KindTag, []byte("object x\n")}), "it is a tag"},
		{"a commit cannot be parsed", unreadable, packOf(t, unreadable), "decode commit"},
		{"a tree is out of order", commitOf(rawTree(file("b", b), file("a", a))), packOf(t, a, b, rawTree(file("b", b), file("a", a)), commitOf(rawTree(file("b", b), file("a", a)))), "not in order"},
		{"a name twice", commitOf(rawTree(file("a", a), file("a", b))), packOf(t, a, b, rawTree(file("a", a), file("a", b)), commitOf(rawTree(file("a", a), file("a", b)))), "not in order"},
		{"a blob as a directory", commitOf(rawTree(dir("a", a))), packOf(t, a, rawTree(dir("a", a)), commitOf(rawTree(dir("a", a)))), "/a is a tree by its tree and a blob by itself"},
		{"a tree as a file", commitOf(rawTree(file("a", good))), packOf(t, a, good, rawTree(file("a", good)), commitOf(rawTree(file("a", good)))), "/a is a blob by its tree and a tree by itself"},
		{"a mode with zeros", commitOf(padded), packOf(t, a, padded, commitOf(padded)), "padded"},
		{"nested too deep", commitOf(deep), packOf(t, append(nested, a, good, commitOf(deep))...), "nested more than"},
		{"cut short", commitOf(good), truncated[:len(truncated)-25], "unexpected EOF"},
		{"a wrong checksum", commitOf(good), wrongSum, "trailer"},
		{"a wrong count", commitOf(good), wrongCount, "trailer"},
		{"no pack", commitOf(good), []byte("PUCK"), "EOF"},
		{"not a pack", commitOf(good), bytes.Repeat([]byte("x"), 100), "pack"},
		{"a large object", commitOf(good), bomb, "at most 1048576"},
		{"too many objects", commitOf(good), packOf(t, many(3000)...), "at most 2000"},
		{"too many bytes together", commitOf(good), packOf(t, large(6)...), "beyond the limits"},
		{"too many bytes on the wire", commitOf(good), packOf(t, noise(4)...), "limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory()
			url := serve(t, m, Limits{ObjectBytes: 1 << 20, Objects: 2000, TotalBytes: 4 << 20, PackBytes: 2 << 20})
			_, answer := post(t, url, receivePack, nil, request(c.pack, Command{Name: "refs/heads/x", New: c.tip.id()}))
			if !strings.Contains(answer, c.want) || !strings.Contains(answer, "ng refs/heads/x") {
				t.Errorf("answer %q, want %q", answer, c.want)
			}
			if len(m.objects) != 0 || len(m.refs) != 0 {
				t.Errorf("%d objects and %d refs are left behind", len(m.objects), len(m.refs))
			}
		})
	}
}

func many(n int) (out []object) {
	for i := range n {
		out = append(out, blob(fmt.Sprint(i)))
	}
	return out
}

func large(n int) (out []object) {
	for i := range n {
		out = append(out, object{gitobj.KindBlob, append(make([]byte, 1<<20-8), fmt.Sprint(i)...)})
	}
	return out
}

// noise does not compress.
func noise(n int) (out []object) {
	state := uint64(1)
	for range n {
		data := make([]byte, 1<<20)
		for i := range data {
			state = state*6364136223846793005 + 1442695040888963407
			data[i] = byte(state >> 56)
		}
		out = append(out, object{gitobj.KindBlob, data})
	}
	return out
}

// TestHostileNames holds law T2.
func TestHostileNames(t *testing.T) {
	a := blob("a")
	for _, e := range []gitobj.Entry{
		{Mode: 0o120000, Name: "link", ID: a.id()},
		{Mode: 0o160000, Name: "module", ID: a.id()},
		{Mode: 0o100755, Name: "program", ID: a.id()},
		{Mode: 0o100644, Name: "..", ID: a.id()},
		{Mode: 0o100644, Name: ".", ID: a.id()},
		{Mode: 0o100644, Name: ".git", ID: a.id()},
		{Mode: 0o100644, Name: ".GiT", ID: a.id()},
		{Mode: 0o100644, Name: ".gitmodules", ID: a.id()},
		{Mode: 0o100644, Name: `..\up`, ID: a.id()},
		{Mode: 0o100644, Name: "c:", ID: a.id()},
	} {
		tree := rawTree(e)
		inner := rawTree(dir("sub", tree))
		m := newMemory()
		_, answer := post(t, serve(t, m, Limits{}), receivePack, nil,
			request(packOf(t, a, tree, inner, commitOf(inner)), Command{Name: "refs/heads/x", New: commitOf(inner).id()}))
		if !strings.Contains(answer, ErrUnsafe.Error()) || !strings.Contains(answer, "/sub: entry") {
			t.Errorf("%06o %q: %q", e.Mode, e.Name, answer)
		}
		if len(m.objects)+len(m.refs) > 0 {
			t.Errorf("%06o %q left something behind", e.Mode, e.Name)
		}
	}
}

// TestNothingExtra holds law T4.
func TestNothingExtra(t *testing.T) {
	a := blob("a")
	tree := rawTree(file("a", a))
	stray := rawTree(file("stray", blob("not sent")))
	m := newMemory()
	_, answer := post(t, serve(t, m, Limits{}), receivePack, nil,
		request(packOf(t, stray, a, tree, commitOf(tree)), Command{Name: "refs/heads/x", New: commitOf(tree).id()}))
	if !strings.Contains(answer, "ok refs/heads/x") || len(m.objects) != 3 || m.Has(stray.id()) {
		t.Errorf("answer %q, %d objects", answer, len(m.objects))
	}
}

// TestWholePush shows that a push is taken whole or not at all.
func TestWholePush(t *testing.T) {
	a := blob("a")
	tree := rawTree(file("a", a))
	tip := commitOf(tree)
	for name, second := range map[string]Command{
		"a stale value": {Name: "refs/heads/y", Old: gitobj.ID{1}, New: tip.id()},
		"a deletion":    {Name: "refs/heads/y", Old: gitobj.ID{1}},
		"a bad name":    {Name: "refs/heads/y.lock", New: tip.id()},
		"one ref twice": {Name: "refs/heads/x", New: tip.id()},
	} {
		m := newMemory()
		_, answer := post(t, serve(t, m, Limits{}), receivePack, nil,
			request(packOf(t, a, tree, tip), Command{Name: "refs/heads/x", New: tip.id()}, second))
		if !strings.Contains(answer, "ng refs/heads/x") || !strings.Contains(answer, "ng "+second.Name) || len(m.refs) != 0 || len(m.objects) != 0 {
			t.Errorf("%s: %q, %d refs", name, answer, len(m.refs))
		}
	}
}

// TestRequests sends requests at the edges of the protocol.
func TestRequests(t *testing.T) {
	m := newMemory()
	m.refs["refs/heads/main"] = history(m, 3)
	url := serve(t, m, Limits{Commands: 2})
	main := m.refs["refs/heads/main"]
	var commands []Command
	for i := range 3 {
		commands = append(commands, Command{Name: fmt.Sprintf("refs/heads/%d", i), New: main})
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(request(packOf(t), commands[0])); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	v2 := http.Header{"Git-Protocol": {"version=2"}}
	for _, c := range []struct {
		name, service string
		header        http.Header
		body          string
		code          int
		want          string
	}{
		{"a probe", receivePack, nil, "0000", 200, ""},
		{"an empty push", receivePack, nil, "", 200, ""},
		{"an empty fetch", uploadPack, nil, "", 200, ""},
		{"an empty fetch, version 2", uploadPack, v2, "", 200, ""},
		{"gzip", receivePack, http.Header{"Content-Encoding": {"gzip"}}, zipped.String(), 200, "ok refs/heads/0"},
		{"not gzip", receivePack, http.Header{"Content-Encoding": {"gzip"}}, "0000", 400, "gzip"},
		{"too many refs", receivePack, nil, string(request(packOf(t), commands...)), 200, "ERR read commands: a push may move 2 refs"},
		{"no command", receivePack, nil, "000bnothing", 200, "ERR"},
		{"a line cut short", receivePack, nil, "00ffabc", 200, "ERR read commands: read packet"},
		{"not a line", receivePack, nil, "zzzz", 200, "malformed packet line"},
		{"another type", receivePack, http.Header{"Content-Type": {"text/plain"}}, "0000", 415, "want \"application/x-git-receive-pack-request\""},
		{"a want that is not here", uploadPack, nil, "0032want 0100000000000000000000000000000000000000\n00000009done\n", 200, "not our ref"},
		{"a shallow fetch", uploadPack, nil, "000cdeepen 10000", 200, "fetch the whole history"},
		{"an unknown command", uploadPack, v2, "0014command=nonsense0000", 200, "not offered"},
		{"another hash", uploadPack, v2, "0014command=ls-refs\n0018object-format=sha2560000", 200, "want sha1"},
	} {
		code, answer := post(t, url, c.service, c.header, []byte(c.body))
		if code != c.code || !strings.Contains(answer, c.want) || c.want == "" && answer != "" {
			t.Errorf("%s: %d %q, want %d %q", c.name, code, answer, c.code, c.want)
		}
	}
	for path, code := range map[string]int{
		"/info/refs": 403, "/info/refs?service=git-upload-archive": 403, "/HEAD": 404, "/objects/info/packs": 404, "/git-upload-pack": 405,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := httpClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != code {
			t.Errorf("GET %s: %s, want %d", path, resp.Status, code)
		}
	}
}

// TestRefNames holds the rules of git check-ref-format against our own.
func TestRefNames(t *testing.T) {
	for _, name := range []string{
		"refs/heads/main", "refs/heads/heavens/a.b", "refs/heads/a-b_c", "refs/heads/..", "refs/heads/a..b", "refs/heads/.a", "refs/heads/a.lock",
		"refs/heads/a.lock/b", "refs/heads/a.", "refs/heads//a", "refs/heads/a/", "refs/heads/a b", "refs/heads/a~b", "refs/heads/a^b", "refs/heads/a:b",
		"refs/heads/a?b", "refs/heads/a*b", "refs/heads/a[b", `refs/heads/a\b`, "refs/heads/a@{b", "refs/heads/@", "refs/heads/a\x7fb", "refs/heads/ü",
	} {
		_, err := tryGit(t, "", "check-ref-format", name)
		if ours := CheckRefName(name); (err == nil) != (ours == nil) {
			t.Errorf("%q: git says %v, we say %v", name, err, ours)
		}
	}
}
