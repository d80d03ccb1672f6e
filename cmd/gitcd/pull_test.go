// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// forge serves the repositories of a directory with stock Git, to one user.
func forge(t *testing.T, root string) string {
	t.Helper()
	url, _ := guarded(t, root, "secret-word")
	return url
}

// guarded serves the repositories of a directory with stock Git, to me with a password that can be changed.
func guarded(t *testing.T, root, first string) (url string, password *atomic.Value) {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	password = &atomic.Value{}
	password.Store(first)
	backend := &cgi.Handler{Path: path, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, InheritEnv: []string{"PATH"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, word, _ := r.BasicAuth(); user != "me" || word != password.Load() {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, password
}

// TestPull clones and pulls a repository that knows nothing of gitcd.
func TestPull(t *testing.T) {
	work, theirs := project(t)
	base := forge(t, filepath.Dir(theirs))
	from := base + "/" + filepath.Base(theirs)
	secrets := filepath.Join(t.TempDir(), "credentials")
	line := strings.Replace(base, "://", "://me:secret-word@", 1) + "\n"
	if err := os.WriteFile(secrets, []byte("https://other:x@example.org\n"+line), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r.git")
	out, err := output(t, program, "init", "--dir", dir, "--clone", from, "--key-prefix", "=")
	if err == nil || !strings.Contains(out, "401") || !strings.Contains(out, "check the network, the URL and the credentials") {
		t.Errorf("clone without credentials: %v %s", err, out)
	}
	out = run(t, program, "init", "--dir", dir, "--clone", from, "--key-prefix", "=", "--credentials-file", secrets)
	if !strings.Contains(out, "branch main: 4 keys") || strings.Contains(out, "secret-word") {
		t.Errorf("clone: %s", out)
	}
	pull := func(more ...string) string {
		out, err := output(t, program, append([]string{"pull", "--dir", dir, "--from", from, "--key-prefix", "=", "--credentials-file", secrets}, more...)...)
		if strings.Contains(out, "secret-word") {
			t.Errorf("the password is told: %s", out)
		}
		if err != nil {
			return "failed: " + out
		}
		return out
	}
	if got := pull(); !strings.Contains(got, "is merged already") {
		t.Errorf("pull of nothing: %s", got)
	}
	// What a merge by keys could not carry comes when the branch moves forward.
	if err := os.Symlink("run.sh", filepath.Join(work, "other")); err != nil {
		t.Fatal(err)
	}
	write(t, work, "README.md", "three\n")
	commit(t, work, "three")
	git(t, theirs, "fetch", "-q", work, "main:main")
	if got := pull(); !strings.Contains(got, "theirs ahead: 1 keys changed, 0 conflicts, head "+git(t, work, "rev-parse", "HEAD")) {
		t.Errorf("pull: %s", got)
	}
	// Served, it pulls by itself, and merges with what is written here.
	url := testbin.URL(t)
	file := config(t, "repository: %s\nbranch: main\nlisteners: [{url: %q}]\nkeys: [{prefix: \"\", tree: \"\"}]\npulls: [{url: %q, interval: 200ms, credentialsFile: %s}]\n", dir, url, from, secrets)
	s := serve(t, []string{url}, "--config", file)
	ctl(t, url, "put", "own", "1")
	write(t, work, "README.md", "four\n")
	commit(t, work, "four")
	git(t, theirs, "fetch", "-q", work, "main:main")
	eventually(t, "the change is here", func() bool { return ctl(t, url, "get", "README.md", "--print-value-only") == "four\n" })
	if got := ctl(t, url, "get", "own", "--print-value-only"); got != "1" {
		t.Errorf("own is %q", got)
	}
	s.stop()
	if strings.Contains(s.log.String(), "secret-word") {
		t.Errorf("the password is logged: %s", s.log)
	}
	if got := git(t, dir, "log", "-1", "--format=%s %p", "main"); !strings.HasPrefix(got, "merge origin/main into main ") || len(strings.Fields(got)) != 6 {
		t.Errorf("last commit: %s", got)
	}
	git(t, dir, "fsck", "--strict")
	// A symbolic link that changed on one side only is refused by name, once both have gone on.
	if err := os.Remove(filepath.Join(work, "other")); err != nil {
		t.Fatal(err)
	}
	commit(t, work, "five")
	git(t, theirs, "fetch", "-q", work, "main:main")
	if got := pull(); !strings.HasPrefix(got, "failed") || !strings.Contains(got, `"other" is not the file of a key`) {
		t.Errorf("pull of a link: %s", got)
	}
	// Unrelated histories are joined on purpose only.
	_, strangers := project(t)
	git(t, strangers, "symbolic-ref", "HEAD", "refs/heads/x")
	git(t, strangers, "commit-tree", "-m", "x", "main^{tree}")
	orphan := git(t, strangers, "commit-tree", "-m", "a line of its own", "main^{tree}")
	git(t, theirs, "fetch", "-q", strangers, "main:main2")
	git(t, strangers, "update-ref", "refs/heads/orphan", orphan)
	git(t, theirs, "fetch", "-q", strangers, "orphan:orphan")
	if got := pull("--remote-branch", "orphan"); !strings.HasPrefix(got, "failed") || !strings.Contains(got, "--unrelated") {
		t.Errorf("pull of a stranger: %s", got)
	}
	if got := pull("--remote-branch", "nothing"); !strings.Contains(got, "the branch is not there; there are main, main2, orphan") {
		t.Errorf("pull of a branch that is not there: %s", got)
	}
	if out, err := output(t, program, "pull", "--dir", dir, "--from", from, "--credentials-file", secrets); err == nil || !strings.Contains(out, "its keys lie elsewhere") {
		t.Errorf("pull with other keys: %v %s", err, out)
	}
}

// TestPullPolicy lets two peers meet by a policy that both have: whose word stands, and what stays where it is until the
// filter is lifted.
func TestPullPolicy(t *testing.T) {
	const key = "/registry/configmaps/default/c"
	value := func(by string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"default","uid":"1"},"data":{"by":%q,"who":%[1]q}}`, by)
	}
	type peer struct{ name, etcd, git, dir string }
	a := peer{"a", testbin.URL(t), testbin.URL(t), filepath.Join(t.TempDir(), "a.git")}
	b := peer{"b", testbin.URL(t), testbin.URL(t), filepath.Join(t.TempDir(), "b.git")}
	const policy = `{branches: [{branch: b, prefer: [{key: "/registry/configmaps/", path: .data.by, take: ours}], toMain: {exclude: [/registry/secrets/]}}]}`
	file := func(me, other peer, merge string) string {
		return config(t, "repository: %s\nbranch: %s\nlisteners: [{url: %q}]\ngit: {url: %q}\nmerge: %s\npulls: [{name: peer, branch: %s, url: %q, interval: 100ms}]\n",
			me.dir, me.name, me.etcd, me.git, merge, other.name, other.git+"/repo.git")
	}
	get := func(p peer, key string) string { return ctl(t, p.etcd, "get", key, "--print-value-only") }
	alone := func(p peer) *server {
		return serve(t, []string{p.etcd}, "--config", config(t, "repository: %s\nbranch: %s\nlisteners: [{url: %q}]\ngit: {url: %q}\n", p.dir, p.name, p.etcd, p.git))
	}

	s := alone(a)
	ctl(t, a.etcd, "put", key, value("base"))
	run(t, program, "init", "--config", file(b, a, policy))
	ctl(t, a.etcd, "put", key, value("a"))
	s.stop()
	s = alone(b)
	ctl(t, b.etcd, "put", key, value("b"))
	ctl(t, b.etcd, "put", "/registry/secrets/default/s", "b's own")
	s.stop()

	sa := serve(t, []string{a.etcd}, "--config", file(a, b, policy))
	sb := serve(t, []string{b.etcd}, "--config", file(b, a, policy))
	want := strings.Replace(value("a"), `"by":"a"`, `"by":"b"`, 1) // b's word for one field, and the order of branches for the other
	eventually(t, "both have decided alike", func() bool { return get(a, key) == want && get(b, key) == want })
	ctl(t, b.etcd, "put", "/registry/public", "for all")
	eventually(t, "a has what may cross", func() bool { return get(a, "/registry/public") == "for all" })
	if got := get(a, "/registry/secrets/default/s"); got != "" {
		t.Errorf("the filter lets %q out", got)
	}
	ctl(t, a.etcd, "put", "/registry/public", "back")
	eventually(t, "b has it, too", func() bool { return get(b, "/registry/public") == "back" })
	if got := get(b, "/registry/secrets/default/s"); got != "b's own" {
		t.Errorf("b has lost what was held back: %q", got)
	}
	sa.stop()
	sb.stop()

	// Nobody writes: the next pull brings what was held back.
	sa = serve(t, []string{a.etcd}, "--config", file(a, b, "{}"))
	sb = serve(t, []string{b.etcd}, "--config", file(b, a, "{}"))
	eventually(t, "what was held back crosses", func() bool { return get(a, "/registry/secrets/default/s") == "b's own" })
	sa.stop()
	sb.stop()
	for _, p := range []peer{a, b} {
		run(t, program, "verify", "--dir", p.dir)
		git(t, p.dir, "fsck", "--strict")
	}
}

// TestPullCopies lets two copies of one branch pull from each other: they decide a conflict alike, and come to rest.
func TestPullCopies(t *testing.T) {
	urls := []string{testbin.URL(t), testbin.URL(t)}
	gits := []string{testbin.URL(t), testbin.URL(t)}
	dirs := []string{filepath.Join(t.TempDir(), "x.git"), filepath.Join(t.TempDir(), "y.git")}
	file := func(i int, pulls bool) string {
		text := "repository: %s\nbranch: main\nlisteners: [{url: %q}]\ngit: {url: %q}\n"
		if pulls {
			text += fmt.Sprintf("pulls: [{url: %q, interval: 100ms}]\n", gits[1-i]+"/repo.git")
		}
		return config(t, text, dirs[i], urls[i], gits[i])
	}
	s := serve(t, urls[:1], "--config", file(0, false))
	ctl(t, urls[0], "put", "/k", "base")
	run(t, program, "init", "--config", file(1, true))
	s.stop()
	for i, word := range []string{"x", "y"} {
		s := serve(t, urls[i:i+1], "--config", file(i, false))
		ctl(t, urls[i], "put", "/k", word)
		ctl(t, urls[i], "put", "/own/"+word, word)
		s.stop()
	}
	both := []*server{serve(t, urls[:1], "--config", file(0, true)), serve(t, urls[1:], "--config", file(1, true))}
	all := func(i int) string { return ctl(t, urls[i], "get", "", "--prefix") }
	eventually(t, "both have one tree", func() bool {
		return all(0) == all(1) && strings.Contains(all(0), "/own/x") && strings.Contains(all(0), "/own/y")
	})
	if got := ctl(t, urls[0], "get", "/k", "--print-value-only"); got != "x" {
		t.Errorf("/k is %q", got)
	}
	for _, s := range both {
		s.stop()
	}
}
