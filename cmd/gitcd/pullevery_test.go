// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// secret writes a file that only its owner reads.
func secret(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// publish commits a README to the work tree, and to the repository that others pull from.
func publish(t *testing.T, work, theirs, text string) (head string) {
	t.Helper()
	write(t, work, "README.md", text)
	commit(t, work, strings.TrimSpace(text))
	git(t, theirs, "fetch", "-q", work, "main:main")
	return git(t, work, "rev-parse", "HEAD")
}

// TestPullEvery pulls again and again: through a password that is changed under it, and until it is told to stop.
func TestPullEvery(t *testing.T) {
	t.Parallel()
	work, theirs := project(t)
	base, password := guarded(t, filepath.Dir(theirs), "first-secret")
	from, home := base+"/"+filepath.Base(theirs), t.TempDir()
	user, word := secret(t, filepath.Join(home, "user"), "me\n"), secret(t, filepath.Join(home, "word"), "first-secret\n")
	dir, log := filepath.Join(t.TempDir(), "r.git"), filepath.Join(home, "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() }) // the program has written to it all there is
	said := func() string {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "pull", "--dir", dir, "--from", from, "--key-prefix", "=",
		"--every", "100ms", "--username-file", user, "--password-file", word)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended already, unless the test failed
	arrives := func(head string) {
		t.Helper()
		eventually(t, head+" is here", func() bool {
			have, err := output(t, "git", "-C", dir, "rev-parse", "refs/heads/main")
			return err == nil && have == head
		})
	}
	arrives(git(t, work, "rev-parse", "HEAD"))
	arrives(publish(t, work, theirs, "three\n"))

	password.Store("second-secret")
	head := publish(t, work, theirs, "four\n")
	eventually(t, "the refusal is told", func() bool { return strings.Contains(said(), "pull failed and will be tried again") })
	secret(t, word, "second-secret\n")
	arrives(head)
	if n := strings.Count(said(), "will be tried again"); n != 1 {
		t.Errorf("the same failure is told %d times", n)
	}
	// Whoever else wants the repository is told who has it.
	if out, code := exits(t, "pull", "--dir", dir, "--from", from, "--key-prefix", "=", "--username-file", user, "--password-file", word); code == 0 || !strings.Contains(out, "pid") {
		t.Errorf("a second one ends with %d: %s", code, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	if strings.Contains(said(), "secret") {
		t.Errorf("a password is told:\n%s", said())
	}
	run(t, program, "verify", "--dir", dir, "--key-prefix", "=")
	git(t, dir, "fsck", "--strict")
}

// TestPullUnrelated joins two histories that have nothing in common, once it is asked to.
func TestPullUnrelated(t *testing.T) {
	t.Parallel()
	_, theirs := project(t)
	base := forge(t, filepath.Dir(theirs))
	home := t.TempDir()
	dir := filepath.Join(home, "r.git")
	secrets := secret(t, filepath.Join(home, "credentials"), strings.Replace(base, "://", "://me:secret-word@", 1)+"\n")
	args := []string{"--dir", dir, "--from", base + "/" + filepath.Base(theirs), "--key-prefix", "=", "--credentials-file", secrets}
	run(t, program, append([]string{"pull"}, args...)...)
	ours := git(t, dir, "rev-parse", "main")

	stranger := t.TempDir()
	git(t, stranger, "init", "-q", "-b", "main")
	write(t, stranger, "README.md", "of another project\n")
	write(t, stranger, "own/file", "1\n")
	commit(t, stranger, "a line of its own")
	git(t, theirs, "fetch", "-q", stranger, "main:stranger")
	pull := append(append([]string{"pull"}, args...), "--remote-branch", "stranger")
	if out, code := exits(t, pull...); code == 0 || !strings.Contains(out, "--unrelated") {
		t.Errorf("it is joined unasked: %d %s", code, out)
	}
	if now := git(t, dir, "rev-parse", "main"); now != ours {
		t.Errorf("a refusal moved the branch to %s", now)
	}
	out, code := exits(t, append(pull, "--unrelated")...)
	if code != 0 || !strings.Contains(out, "unrelated: ") || !strings.Contains(out, "1 conflicts") {
		t.Errorf("it ends with %d: %s", code, out)
	}
	if parents := git(t, dir, "log", "-1", "--format=%P", "main"); parents != ours+" "+git(t, stranger, "rev-parse", "main") {
		t.Errorf("parents are %s", parents)
	}
	// Each key is there, whoever had it; git says the same of the tree.
	keys := run(t, program, "dump", "--dir", dir, "--key-prefix", "=", "-o", "keys")
	if files := git(t, dir, "ls-tree", "-r", "-z", "--name-only", "main"); !strings.Contains(files, "own/file") || !strings.Contains(files, "run.sh") {
		t.Errorf("files are %q", files)
	}
	for _, key := range []string{"own/file", "run.sh", "README.md", "a b/ü.txt"} {
		if !strings.Contains("\n"+keys+"\n", "\n"+key+"\n") {
			t.Errorf("%s is not among the keys:\n%s", key, keys)
		}
	}
	if out := run(t, program, pull...); !strings.Contains(out, "is merged already") {
		t.Errorf("again: %s", out)
	}
	git(t, dir, "fsck", "--strict")
}

// TestPullCredentials takes user and password from each place there is, and tells them to nobody but the host they are for.
func TestPullCredentials(t *testing.T) {
	_, theirs := project(t)
	base := forge(t, filepath.Dir(theirs))
	path := "/" + filepath.Base(theirs)
	var leaked atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked.Store(a)
		}
		http.Error(w, "not here", http.StatusNotFound)
	}))
	t.Cleanup(elsewhere.Close)
	redirects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(redirects.Close)

	home := t.TempDir()
	in := func(name string) string { return filepath.Join(home, name) }
	user, word := secret(t, in("user"), "me"), secret(t, in("word"), "secret-word\n")
	line := func(url string) string { return strings.Replace(url, "://", "://me:secret-word@", 1) + "\n" }
	for _, c := range []struct {
		what    string
		from    string
		args    []string
		environ map[string]string
		files   map[string]string // below HOME
		says    string            // empty: it pulls
	}{
		{what: "two files", args: []string{"--username-file", user, "--password-file", word}},
		{what: "a file of git credential-store", args: []string{"--credentials-file", secret(t, in("store"), "# none\n"+line(base))}},
		{what: "the environment", environ: map[string]string{"GIT_CREDENTIAL_USERNAME": "me", "GIT_CREDENTIAL_PASSWORD": "secret-word"}},
		{what: "the home directory", files: map[string]string{".git-credentials": line(base)}},
		{what: "the configuration directory", files: map[string]string{".config/git/credentials": line(base)}},
		{what: "nowhere", says: "401"},
		{what: "a wrong password", args: []string{"--username-file", user, "--password-file", secret(t, in("wrong"), "secret-lie")}, says: "401"},
		{what: "a user without a password", args: []string{"--username-file", user}, says: "passwordFile"},
		{what: "a file that is not there", args: []string{"--username-file", user, "--password-file", in("none")}, says: in("none")},
		{what: "a file of other hosts", args: []string{"--credentials-file", secret(t, in("others"), line("https://example.org"))}, says: "has no line for " + base},
		{what: "two files, and a host that sends elsewhere", from: redirects.URL + path, args: []string{"--username-file", user, "--password-file", word}, says: "404"},
	} {
		t.Run(c.what, func(t *testing.T) {
			at := t.TempDir()
			for name, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(at, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				secret(t, filepath.Join(at, name), text)
			}
			t.Setenv("HOME", at)
			t.Setenv("XDG_CONFIG_HOME", "")
			for name, value := range c.environ {
				t.Setenv(name, value)
			}
			from := c.from
			if from == "" {
				from = base + path
			}
			out, code := exits(t, append([]string{"pull", "--dir", filepath.Join(at, "r.git"), "--from", from, "--key-prefix", "="}, c.args...)...)
			switch {
			case c.says == "" && (code != 0 || !strings.Contains(out, "theirs ahead: 4 keys changed")):
				t.Errorf("it ends with %d: %s", code, out)
			case c.says != "" && (code == 0 || !strings.Contains(out, c.says)):
				t.Errorf("it ends with %d, and does not say %q: %s", code, c.says, out)
			}
			if strings.Contains(out, "secret") {
				t.Errorf("the password is told: %s", out)
			}
		})
	}
	if a := leaked.Load(); a != nil {
		t.Errorf("another host got %v", a)
	}
}
