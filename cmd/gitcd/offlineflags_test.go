// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// exits runs a program and returns what it says and its exit code.
func exits(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	out, err := output(t, program, args...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out, exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out, 0
}

// TestOfflineConfig verifies, dumps and repacks a repository whose keys lie elsewhere, and are of other
// grains, than they would by themselves: only who knows that reports rightly.
func TestOfflineConfig(t *testing.T) {
	t.Parallel()
	url, green := testbin.URL(t), testbin.URL(t)
	dir := filepath.Join(t.TempDir(), "r.git")
	file := config(t, `repository: %s
branches:
- name: blue
  listeners: [{url: %q}]
  keys: [{prefix: /registry/, tree: clusters/blue/}]
  grains: [{prefix: /registry/scratch/, grain: Local}]
- name: green
  listeners: [{url: %q}]
history: {retention: All}
`, dir, url, green)
	s := serve(t, []string{url, green}, "--config", file)
	ctl(t, url, "put", "/registry/a", "1")
	ctl(t, url, "put", "/registry/a", "2")
	ctl(t, url, "put", "/registry/scratch/x", "3")
	ctl(t, green, "put", "/registry/g", "4")
	s.stop()
	blue := []string{"--key-prefix", "/registry/=clusters/blue/"}
	head := git(t, dir, "rev-parse", "blue")

	// Verify.
	if out, code := exits(t, "verify", "--dir", dir); code != 2 || !strings.Contains(out, `its keys lie elsewhere: "/registry/"="clusters/blue/"`) || !strings.Contains(out, "--config") {
		t.Errorf("verify that knows nothing ends with %d: %s", code, out)
	}
	if out, code := exits(t, "verify", "--config", file); code != 0 || !strings.Contains(out, "all laws hold") {
		t.Errorf("verify ends with %d: %s", code, out)
	}
	// The prefix alone is not enough where grains are the operator's own: what the tree must not have is missed in it.
	if out, code := exits(t, append([]string{"verify", "--dir", dir}, blue...)...); code != 4 || !strings.Contains(out, `M7: refs/heads/blue: the store has "/registry/scratch/x"`) {
		t.Errorf("verify without the grains ends with %d: %s", code, out)
	}
	if out, code := exits(t, append([]string{"verify", "--config", file}, blue...)...); code != 2 || !strings.Contains(out, "does not go with --config") {
		t.Errorf("verify with both ends with %d: %s", code, out)
	}

	// Dump.
	for what, c := range map[string]struct {
		args []string
		want string
	}{
		"of a file":                {[]string{"--config", file}, "/registry/a\n/registry/scratch/x"},
		"of the file's other":      {[]string{"--config", file, "--branch", "green"}, "/registry/g"},
		"by a prefix":              {append([]string{"--dir", dir, "--branch", "blue"}, blue...), "/registry/a\n/registry/scratch/x"},
		"of a commit, of a file":   {[]string{"--config", file, "--commit", "blue"}, "/registry/a"},
		"of a commit, by a prefix": {append([]string{"--dir", dir, "--commit", "blue~1"}, blue...), "/registry/a"},
	} {
		if out, code := exits(t, append([]string{"dump", "-o", "keys"}, c.args...)...); code != 0 || out != c.want {
			t.Errorf("dump %s ends with %d: %s", what, code, out)
		}
	}
	if out, code := exits(t, "dump", "--config", file); code != 0 || !strings.Contains(out, `{"key":"/registry/a","createRevision":2,"modRevision":3,"version":2,"text":"2"}`) {
		t.Errorf("dump ends with %d: %s", code, out)
	}
	for _, wrong := range [][]string{nil, {"--key-prefix", "/=clusters/blue/"}} {
		out, code := exits(t, append([]string{"dump", "--dir", dir, "--branch", "blue"}, wrong...)...)
		if code != 2 || !strings.Contains(out, "its keys lie elsewhere") {
			t.Errorf("dump with %q ends with %d: %s", wrong, code, out)
		}
	}

	// Repack, and nothing has changed for who looks.
	if out, code := exits(t, "repack", "--config", file, "-o", "json"); code != 0 || !strings.Contains(out, `"allPacks"`) {
		t.Errorf("repack ends with %d: %s", code, out)
	}
	if now := git(t, dir, "rev-parse", "blue"); now != head {
		t.Errorf("blue is at %s, was at %s", now, head)
	}

	// The file can be that of another place: a backup is verified as what it is a backup of.
	moved := filepath.Join(t.TempDir(), "copy.git")
	if err := os.CopyFS(moved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if out, code := exits(t, "verify", "--config", file, "--dir", moved); code != 0 || !strings.HasPrefix(out, moved+": all laws hold") {
		t.Errorf("verify of a copy ends with %d: %s", code, out)
	}
}
