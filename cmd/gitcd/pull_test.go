// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
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
