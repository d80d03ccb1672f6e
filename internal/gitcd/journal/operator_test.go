// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// housekeeping is what an operator, or a cron job, may run in any repository.
var housekeeping = []string{
	"gc --aggressive --prune=now", "repack -ad", "repack -a", "prune --expire=now", "prune-packed",
	"maintenance run --task=gc --task=loose-objects --task=incremental-repack --task=pack-refs --task=commit-graph",
	"multi-pack-index write", "pack-refs --all --prune",
}

// keepHouse runs one, and says nothing of a refusal.
func keepHouse(tb testing.TB, dir, command string) string {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "git", strings.Fields(command)...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(out))
	}
	return "done"
}

// TestJ11Housekeeping runs every command that tidies up in a repository, while
// it is written to and repacked, and while it is not: nothing is lost.
func TestJ11Housekeeping(t *testing.T) {
	t.Parallel()
	work, dir := t.TempDir(), filepath.Join(t.TempDir(), "r.git")
	git(t, work, "init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(work, "loose"), []byte("a loose object\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, work, "add", ".")
	git(t, work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "loose")
	git(t, work, "branch", "others")
	git(t, t.TempDir(), "init", "-q", "--bare", "-b", "main", dir)
	git(t, work, "push", "-q", "--no-thin", dir, "others") // few objects stay loose
	loose, err := gitobj.ParseID(git(t, work, "rev-parse", "others:loose"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []gitobj.ID
	o := journal.Options{SegmentSize: 64 << 10, PublishInterval: 5 * time.Millisecond, RepackInterval: 20 * time.Millisecond, RepackRate: -1}
	o.Keep = func(_ []byte, yield func(gitobj.Kind, gitobj.ID)) error {
		for _, id := range kept {
			yield(gitobj.KindBlob, id)
		}
		return nil
	}
	h := &renewals{}
	write := func(j *journal.Journal, n int) {
		for range n {
			appendOne(t, j, h.next(5), true)
		}
		if len(kept) == 0 { // a value that no tree ever names
			kept = append(kept, gitobj.Hash(gitobj.KindBlob, loneBlob(7)))
		}
		if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
			t.Error(err)
		}
	}
	all := func(j *journal.Journal, what string) {
		t.Helper()
		if n := len(reached(t, j)); n < 3*h.n {
			t.Fatalf("after git %s: %d objects are reached of %d commits", what, n, h.n)
		}
		for _, id := range append(kept, loose) {
			if _, _, err := j.Get(id); err != nil {
				t.Fatalf("after git %s: %v", what, err)
			}
		}
	}
	j := open(t, vfs.OS{}, dir, o)
	write(j, 300)
	for _, command := range housekeeping {
		ctx, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() {
			for ctx.Err() == nil {
				write(j, 10)
			}
		})
		answer := keepHouse(t, dir, command)
		stop()
		writing.Wait()
		all(j, command)
		t.Logf("git %s: %s", command, answer)
		closeJournal(t, j)
		keepHouse(t, dir, command)
		check(t, vfs.OS{}, dir)
		git(t, dir, "fsck", "--strict", "--full")
		if got := git(t, dir, "rev-parse", "main"); got != h.head.String() {
			t.Errorf("after git %s: Git's main is %s, want %s", command, got, h.head)
		}
		j = open(t, vfs.OS{}, dir, o)
		all(j, command)
	}
	if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
		t.Fatal(err)
	}
	all(j, "repack by gitcd")
	closeJournal(t, j)
	check(t, vfs.OS{}, dir)
	git(t, dir, "fsck", "--strict", "--full")
	for _, refused := range []string{"repack -ad", "prune"} {
		if answer := keepHouse(t, dir, refused); !strings.Contains(answer, "precious-objects") {
			t.Errorf("git %s: %s", refused, answer)
		}
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, work, "clone", "-q", "--bare", "file://"+dir, clone)
	git(t, clone, "fsck", "--strict")
}

// TestPackRefsIsMended writes packed-refs as Git would that had read them before the last change.
func TestPackRefsIsMended(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "r.git")
	j := open(t, vfs.OS{}, dir, journal.Options{PublishInterval: -1, RepackInterval: 10 * time.Millisecond})
	var h renewals
	appendOne(t, j, h.next(1), true)
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "packed-refs"))
	if err != nil {
		t.Fatal(err)
	}
	appendOne(t, j, h.next(1), true)
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "packed-refs"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if git(t, dir, "rev-parse", "main") == h.head.String() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("Git still sees the old main")
}
