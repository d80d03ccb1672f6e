// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// TestStockGit lets stock Git clone, push and fetch in each version of the protocol.
func TestStockGit(t *testing.T) {
	for _, version := range []string{"0", "1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			m := newMemory()
			m.refs["refs/heads/main"] = history(m, 120)
			url := serve(t, m, Limits{})
			a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
			git(t, "", "-c", "protocol.version="+version, "clone", "-q", url, a)
			git(t, "", "-c", "protocol.version="+version, "clone", "-q", url, b)
			for _, dir := range []string{a, b} {
				git(t, dir, "config", "protocol.version", version)
				git(t, dir, "fsck", "--strict", "--no-progress")
			}
			if got := git(t, a, "rev-list", "--count", "HEAD"); got != "120" {
				t.Fatalf("cloned %s commits, want 120", got)
			}
			for i := range 30 {
				writeFile(t, a, fmt.Sprintf("registry/pods/default/new-%d", i), strings.Repeat("y", i*100))
				git(t, a, "add", "-A")
				git(t, a, "commit", "-q", "-m", "new")
			}
			writeFile(t, b, "registry/other", "z")
			git(t, b, "add", "-A")
			git(t, b, "commit", "-q", "-m", "other")
			git(t, a, "push", "-q", "origin", "HEAD:refs/heads/heavens/a", "HEAD:refs/heads/main")
			git(t, b, "fetch", "-q", "origin")
			if got, want := git(t, b, "rev-parse", "origin/heavens/a"), git(t, a, "rev-parse", "HEAD"); got != want {
				t.Fatalf("fetched %s, want %s", got, want)
			}
			git(t, b, "fsck", "--strict", "--no-progress")
			if out, err := tryGit(t, b, "push", "origin", "HEAD:refs/heads/main"); err == nil || !strings.Contains(out, "rejected") {
				t.Fatalf("a push that is no fast-forward: %v\n%s", err, out)
			}
			git(t, b, "merge", "-q", "-m", "merge", "origin/main")
			git(t, b, "push", "-q", "origin", "HEAD:refs/heads/main")
			git(t, a, "pull", "-q", "--ff-only", "origin", "main")
			if got, want := git(t, a, "rev-parse", "HEAD^{tree}"), git(t, b, "rev-parse", "HEAD^{tree}"); got != want {
				t.Fatalf("trees differ: %s and %s", got, want)
			}
		})
	}
}

// TestFetchIsSmall shows law T5 from its other side: what the client has is not sent again.
func TestFetchIsSmall(t *testing.T) {
	m := newMemory()
	m.refs["refs/heads/main"] = history(m, 200)
	url := serve(t, m, Limits{})
	dir := filepath.Join(t.TempDir(), "a")
	git(t, "", "clone", "-q", url, dir)
	before := m.refs["refs/heads/main"]
	m.refs["refs/heads/main"] = m.commit(m.tree(map[string]string{"registry/one": "1"}), "one", before)
	out := git(t, dir, "-c", "fetch.unpackLimit=1", "fetch", "--progress", "origin")
	if !strings.Contains(out, "sends 4 objects") { // commit, two trees, blob
		t.Fatalf("fetch of one commit says:\n%s", out)
	}
}

// TestEmptyRepository lets stock Git begin a repository.
func TestEmptyRepository(t *testing.T) {
	m := newMemory()
	url := serve(t, m, Limits{})
	dir := filepath.Join(t.TempDir(), "a")
	git(t, "", "clone", "-q", url, dir)
	writeFile(t, dir, "registry/a", "a")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "a")
	git(t, dir, "push", "-q", "-o", "hello=world", "--atomic", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/heavens/a")
	if len(m.pushes) != 1 || len(m.pushes[0].Commands) != 2 || len(m.pushes[0].Options) != 1 || m.pushes[0].Options[0] != "hello=world" {
		t.Fatalf("pushes: %+v", m.pushes)
	}
	if out, err := tryGit(t, dir, "push", "origin", ":refs/heads/main"); err == nil || !strings.Contains(out, "rejected") {
		t.Fatalf("deletion: %v\n%s", err, out)
	}
	if got := git(t, dir, "ls-remote", "--symref", "origin", "HEAD"); !strings.Contains(got, "ref: refs/heads/main") {
		t.Fatalf("HEAD: %s", got)
	}
}

// TestRefusalsAreRead shows that who pushes reads why it was refused.
func TestRefusalsAreRead(t *testing.T) {
	m := newMemory()
	m.refuse = func(c Command) error {
		if c.Name == "refs/heads/main" {
			return errors.New("main moves by the hub's hand alone")
		}
		return nil
	}
	dir := filepath.Join(t.TempDir(), "a")
	git(t, "", "clone", "-q", serve(t, m, Limits{}), dir)
	writeFile(t, dir, "big", strings.Repeat("0123456789abcdef", 1<<16))
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "a")
	out, err := tryGit(t, dir, "push", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/heavens/a")
	if err == nil || !strings.Contains(out, "by the hub's hand alone") || !strings.Contains(out, "whole or not at all") {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(m.refs) != 0 || len(m.objects) != 0 {
		t.Fatalf("a refused push left %d refs and %d objects", len(m.refs), len(m.objects))
	}
}

// TestClient runs the client against Git's own server and against ours.
func TestClient(t *testing.T) {
	servers := map[string]func(t *testing.T) string{
		"git http-backend": func(t *testing.T) string { t.Helper(); url, _ := backend(t); return url },
		"gitcd":            func(t *testing.T) string { t.Helper(); return serve(t, newMemory(), Limits{}) },
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) { testClient(t, start(t)) })
	}
}

func testClient(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	client := &Client{URL: url, HTTP: httpClient()}
	m := newMemory()
	tip := history(m, 150)
	push := func(name string, from, to gitobj.ID) error {
		items, err := Missing(ctx, m, []gitobj.ID{to}, []gitobj.ID{from})
		if err != nil {
			t.Fatal(err)
		}
		return client.Push(ctx, m, []Command{{Name: name, Old: from, New: to}}, items)
	}
	if refs, err := client.ListRefs(ctx); err != nil || len(refs) != 0 {
		t.Fatalf("refs of an empty repository: %v, %v", refs, err)
	}
	if err := push("refs/heads/main", gitobj.Zero, tip); err != nil {
		t.Fatal(err)
	}
	next := m.commit(m.tree(map[string]string{"registry/a": "1"}), "next", tip)
	if err := push("refs/heads/main", tip, next); err != nil {
		t.Fatal(err)
	}
	rejected := (*RejectedError)(nil)
	if err := push("refs/heads/main", tip, m.commit(m.tree(nil), "stale", tip)); !errors.As(err, &rejected) {
		t.Fatalf("push from a stale value: %v", err)
	}
	if err := push("refs/heads/heavens/a", gitobj.Zero, tip); err != nil { // a pack without objects is enough
		t.Fatal(err)
	}
	refs, err := client.ListRefs(ctx, "refs/heads/")
	if err != nil || refs["refs/heads/main"] != next || refs["refs/heads/heavens/a"] != tip {
		t.Fatalf("refs: %v, %v", refs, err)
	}
	other := newMemory()
	take := func(want gitobj.ID, haves ...gitobj.ID) []Object {
		came, err := client.Fetch(ctx, other, []gitobj.ID{want}, haves)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range came {
			if gitobj.Hash(o.Kind, o.Data) != o.ID {
				t.Fatalf("object %s has another id", o.ID)
			}
			other.put(o.Kind, o.Data)
		}
		return came
	}
	take(tip)
	if n := len(take(next, tip)); n != 4 && n != 3 { // the blob may be one that was there
		t.Fatalf("one commit came as %d objects", n)
	}
	for id := range other.objects {
		if !m.Has(id) {
			t.Fatalf("%s came from nowhere", id)
		}
	}
	if _, err := client.Fetch(ctx, other, []gitobj.ID{{1, 2, 3}}, nil); err == nil || !strings.Contains(err.Error(), "not our ref") {
		t.Fatalf("fetch of what is not there: %v", err)
	}
}
