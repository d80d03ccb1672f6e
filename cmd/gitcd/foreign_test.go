// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// project makes a repository as people have them, with a work tree, and a bare copy of it.
func project(t *testing.T) (work, bare string) {
	t.Helper()
	work, bare = filepath.Join(t.TempDir(), "work"), filepath.Join(t.TempDir(), "bare.git")
	run(t, "git", "init", "-q", "-b", "main", work)
	for name, text := range map[string]string{"README.md": "one\n", "a b/ü.txt": "x\n", ".github/w.yml": "y\n", "run.sh": "#!/bin/sh\n", "gone": "z"} {
		write(t, work, name, text)
	}
	for _, err := range []error{os.Symlink("README.md", filepath.Join(work, "link")), os.Chmod(filepath.Join(work, "run.sh"), 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	commit(t, work, "one")
	write(t, work, "README.md", "two\n")
	if err := os.Remove(filepath.Join(work, "gone")); err != nil {
		t.Fatal(err)
	}
	commit(t, work, "two")
	run(t, "git", "clone", "-q", "--bare", work, bare)
	return work, bare
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir, subject string) {
	t.Helper()
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", subject)
}

// TestAnyRepository serves a repository that gitcd did not make.
func TestAnyRepository(t *testing.T) {
	work, bare := project(t)
	out := run(t, program, "init", "--dir", bare, "--history", "10", "--start-revision", "100", "--key-prefix", "=")
	if !strings.Contains(out, "branch main: 4 keys, revisions 100 to 107") || !strings.Contains(out, "first=[link]") {
		t.Errorf("init: %s", out)
	}
	url := testbin.URL(t)
	args := []string{"--dir", bare, "--listen", url, "--key-prefix", "="}
	s := serve(t, []string{url}, args...)
	if got := ctl(t, url, "get", "", "--from-key", "--keys-only"); got != ".github/w.yml\n\nREADME.md\n\na b/ü.txt\n\nrun.sh\n" {
		t.Errorf("keys: %q", got)
	}
	if got := ctl(t, url, "get", "README.md", "--print-value-only", "--rev", "105"); got != "one\n" {
		t.Errorf("README.md of the first commit: %q", got)
	}
	if got := ctl(t, url, "get", "gone", "--print-value-only", "--rev", "105"); got != "z" {
		t.Errorf("what is gone: %q", got)
	}
	ctl(t, url, "put", "a b/ü.txt", "new")
	ctl(t, url, "put", "run.sh", "#!/bin/bash")
	ctl(t, url, "put", "own", "1")
	s.stop()
	if got := git(t, bare, "-c", "core.quotePath=false", "ls-tree", "-r", "--format=%(objectmode) %(path)", "-z", "main"); got != strings.ReplaceAll(
		"100644 .github/w.yml|100644 README.md|100644 a b/ü.txt|120000 link|100644 own|100755 run.sh|", "|", "\x00") {
		t.Errorf("tree: %q", got)
	}
	git(t, bare, "fsck", "--strict")

	// Stock Git goes on from there while nobody serves it.
	git(t, work, "pull", "-q", "--ff-only", bare, "main")
	write(t, work, "README.md", "three\n")
	commit(t, work, "three")
	git(t, bare, "fetch", "-q", work, "main:main")
	s = serve(t, []string{url}, args...)
	if got := ctl(t, url, "get", "README.md", "-w", "fields"); !strings.Contains(got, `"Value" : "three\n"`) || !strings.Contains(got, `"ModRevision" : 111`) {
		t.Errorf("after a commit by others: %s", got)
	}
	if got := ctl(t, url, "get", "README.md", "--rev", "110", "--print-value-only"); got != "two\n" {
		t.Errorf("before it: %q", got)
	}
	ctl(t, url, "put", "own", "2")
	s.stop()

	// A branch that was put elsewhere is not served.
	was := git(t, bare, "rev-parse", "main")
	write(t, work, "README.md", "four\n")
	commit(t, work, "four")
	git(t, bare, "fetch", "-q", work, "+main:main")
	out, err := output(t, program, append([]string{"serve"}, args...)...)
	if err == nil || !strings.Contains(out, "put the branch back with git update-ref, or bring the two together with git merge") {
		t.Errorf("a branch that was put aside: %v %s", err, out)
	}
	git(t, bare, "update-ref", "refs/heads/main", was)
	serve(t, []string{url}, args...)
	if got := ctl(t, url, "get", "own", "--print-value-only"); got != "2" {
		t.Errorf("own is %q", got)
	}
}
