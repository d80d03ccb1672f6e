// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

func put(key, value string) mvcc.Txn {
	return mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: []byte(value)}}}}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestRestartKeepsAll writes on the real disk, restarts, and looks at the
// result through the store and through stock Git.
func TestRestartKeepsAll(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	o := mvcc.Options{Branch: "refs/heads/heavens/x", Author: mvcc.Identity{Name: "x", Email: "x@example.invalid"}}
	var last mvcc.TxnResult
	for round := range 3 {
		b, err := branch.Open(ctx, vfs.OS{}, dir, journal.Options{}, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Store.Revision(); round > 0 && got != last.Revision {
			t.Fatalf("round %d: revision %d after a restart, was %d", round, got, last.Revision)
		}
		for i := range 20 {
			if last, err = b.Store.Txn(ctx, put(fmt.Sprintf("/registry/pods/default/p%d", i), fmt.Sprintf(`{"round":%d}`, round))); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if last.Revision != 61 {
		t.Errorf("revision %d after 60 puts, want 61", last.Revision)
	}
	git(t, dir, "fsck", "--strict")
	if got := git(t, dir, "show", "heavens/x:registry/pods/default/p7"); got != "{\n \"round\": 2\n}" {
		t.Errorf("show: %q", got)
	}
	if n := strings.Count(git(t, dir, "log", "--format=%an", "heavens/x"), "x\n"); n < 3 {
		t.Errorf("%d commits by x", n)
	}
}

// TestPlainClone serves what stock Git cloned.
func TestPlainClone(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	b, err := branch.Open(ctx, vfs.OS{}, dir, journal.Options{}, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Store.Txn(ctx, put("/a", "1")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Store.Txn(ctx, put("/a/b", "2")); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	clone := t.TempDir() + "/clone.git"
	git(t, dir, "clone", "-q", "--mirror", dir, clone)
	c, err := branch.Open(ctx, vfs.OS{}, clone, journal.Options{}, mvcc.Options{Epoch: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	for key, want := range map[string]string{"/a": "1", "/a/b": "2"} {
		value, rev, err := c.Store.KeyState(key)
		if err != nil || string(value) != want || rev <= 7<<40 {
			t.Errorf("%s = %q at %d, %v; want %q above %d", key, value, rev, err, want, int64(7)<<40)
		}
	}
}
