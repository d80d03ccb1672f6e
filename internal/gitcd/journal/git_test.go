// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestJ6LiveGit lets stock Git clone, log and fsck a journal that is being
// written to, rolled and sealed: it must never fail, nor lag more than a second.
func TestJ6LiveGit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/r.git"
	j := open(t, vfs.OS{}, dir, journal.Options{SegmentSize: 2 << 20})
	ctx, stop := context.WithTimeout(t.Context(), 6*time.Second)
	defer stop()
	var commits atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		var h history
		for ctx.Err() == nil {
			if _, err := j.Append(t.Context(), []journal.Frame{h.next()}, true); err != nil {
				t.Error(err)
				return
			}
			commits.Store(int64(h.n))
			time.Sleep(2 * time.Millisecond)
			if len(h.files) > 300 {
				h.files = h.files[:0]
			}
		}
	}()
	for commits.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second)
	for i := 0; ctx.Err() == nil; i++ {
		before := commits.Load()
		time.Sleep(time.Second)
		clone := filepath.Join(t.TempDir(), strconv.Itoa(i))
		git(t, dir, "clone", "-q", "--no-local", "--bare", dir, clone)
		n, err := strconv.ParseInt(git(t, clone, "rev-list", "--count", "main"), 10, 64)
		if err != nil || n < before {
			t.Errorf("a clone has %d commits, a second ago there were %d", n, before)
		}
		git(t, clone, "fsck", "--strict")
		git(t, dir, "log", "-5", "--stat", "main")
		git(t, dir, "fsck", "--strict")
	}
	<-done
	closeJournal(t, j)
	git(t, dir, "fsck", "--strict")
	if got := git(t, dir, "rev-list", "--count", "main"); got != strconv.FormatInt(commits.Load(), 10) {
		t.Errorf("git counts %s commits, want %d", got, commits.Load())
	}
	check(t, vfs.OS{}, dir)
	t.Logf("%d commits, %s", commits.Load(), git(t, dir, "count-objects", "-v"))
}

// TestJ6TailsStayForAWhile steps a clock: a tail pack that was replaced stays for
// half a minute, and in the end there are no more tails than the logarithm of what they hold.
func TestJ6TailsStayForAWhile(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Unix(1, 0))
	m := &vfs.Mem{}
	j := open(t, m, memDir, journal.Options{Clock: fake, PublishInterval: -1})
	tails := func() map[string]bool {
		names := map[string]bool{}
		for name := range m.Files() {
			if strings.Contains(name, "/pack-67697463642d") && strings.HasSuffix(name, ".idx") {
				names[name] = true
			}
		}
		return names
	}
	var h history
	seen := map[string]bool{}
	for range 64 {
		appendOne(t, j, h.next(), true)
		if err := j.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		maps.Copy(seen, tails())
		fake.Step(100 * time.Millisecond)
	}
	if got := len(tails()); got != len(seen) || got < 64 {
		t.Errorf("%d of %d tails are still there after 6 seconds", got, len(seen))
	}
	fake.Step(time.Minute)
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(tails()); got > 8 {
		t.Errorf("%d tails after a minute", got)
	}
}

// TestJ6LongChains changes a large directory one name at a time: Git reads the long chain of deltas.
func TestJ6LongChains(t *testing.T) {
	dir := t.TempDir() + "/r.git"
	j := open(t, vfs.OS{}, dir, journal.Options{PublishInterval: -1})
	var h history
	for i := range 1000 {
		h.files = append(h.files, gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("a-%04d", i)}) // the history's own names come behind
	}
	blob := journal.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, []byte("x")), Data: []byte("x")}
	for i := range h.files {
		h.files[i].ID = blob.ID
	}
	appendOne(t, j, journal.Frame{Objects: []journal.Object{blob}}, false)
	for range 600 {
		appendOne(t, j, h.next(), false)
	}
	closeJournal(t, j)
	git(t, dir, "fsck", "--strict")
	tails, err := filepath.Glob(dir + "/objects/pack/pack-67697463642d*.idx")
	if err != nil || len(tails) != 1 {
		t.Fatalf("tails: %v, %v", tails, err)
	}
	if chains := git(t, dir, "verify-pack", "-v", tails[0]); !strings.Contains(chains, "chain length = 250:") || strings.Contains(chains, "chain length = 251:") {
		t.Errorf("chains are not up to 250 long: %s", chains[max(0, len(chains)-200):])
	}
	j = open(t, vfs.OS{}, dir, journal.Options{PublishInterval: -1})
	if kind, data, err := j.Get(h.treeID); err != nil || gitobj.Hash(kind, data) != h.treeID {
		t.Errorf("the last tree: %v", err)
	}
}

// TestOpensClones opens what stock Git makes: packed, loose, with a tag and packed refs.
func TestOpensClones(t *testing.T) {
	work := t.TempDir()
	git(t, work, "init", "-q", "-b", "main")
	commit := func(i int) {
		if err := os.WriteFile(filepath.Join(work, "file"), []byte(strings.Repeat(fmt.Sprintf("line %d\n", i), 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		git(t, work, "add", ".")
		git(t, work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", strconv.Itoa(i))
	}
	for i := range 10 {
		commit(i)
	}
	git(t, work, "-c", "user.name=t", "-c", "user.email=t@t", "tag", "-a", "-m", "t", "v1")
	git(t, work, "branch", "nodes/n1")
	git(t, work, "gc", "-q")
	commit(10) // stays loose
	git(t, work, "branch", "heavens/apiserver")
	dir := filepath.Join(t.TempDir(), "r.git")
	git(t, work, "clone", "-q", "--mirror", work, dir)
	git(t, dir, "config", "gc.auto", "1")
	blob := git(t, dir, "rev-parse", "main:file")
	packed := git(t, dir, "rev-parse", "v1^{tree}")

	j := open(t, vfs.OS{}, dir, journal.Options{PublishInterval: -1})
	for line := range strings.Lines(git(t, dir, "for-each-ref", "--format=%(objectname) %(refname)")) {
		hex, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if got, ok := j.Ref(name); !ok || got.String() != hex {
			t.Errorf("%s is %s, git says %s", name, got, hex)
		}
	}
	if len(j.Refs("refs/")) != 4 {
		t.Errorf("refs are %v", j.Refs("refs/"))
	}
	for _, hex := range []string{blob, packed} {
		id, err := gitobj.ParseID(hex)
		if err != nil {
			t.Fatal(err)
		}
		kind, data, err := j.Get(id)
		if err != nil || gitobj.Hash(kind, data) != id || !j.Has(id) {
			t.Errorf("Get(%s): %v", hex, err)
		}
	}
	if _, _, err := j.Get(gitobj.ID{1}); err == nil || j.Has(gitobj.ID{1}) {
		t.Error("an object that is not there is found")
	}
	main, _ := j.Ref(mainRef)
	_, data, err := j.Get(main)
	if err != nil {
		t.Fatal(err)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		t.Fatal(err)
	}
	c.Parents, c.Message = []gitobj.ID{main}, "gitcd's\n"
	next := journal.Object{Kind: gitobj.KindCommit, ID: gitobj.Hash(gitobj.KindCommit, c.Encode()), Data: c.Encode()}
	appendOne(t, j, journal.Frame{Objects: []journal.Object{next}, Refs: []journal.RefUpdate{{Name: mainRef, Old: main, New: next.ID}, {Name: "refs/heads/nodes/n1", Old: mustRef(t, j, "refs/heads/nodes/n1")}}}, true)
	closeJournal(t, j)
	git(t, dir, "fsck", "--strict")
	if got := git(t, dir, "log", "-1", "--format=%s", "main"); got != "gitcd's" {
		t.Errorf("git's main is %q", got)
	}
	if got := git(t, dir, "for-each-ref", "refs/heads/nodes"); got != "" {
		t.Errorf("a deleted ref is still there: %s", got)
	}
	if got := git(t, dir, "config", "gc.auto"); got != "0" {
		t.Errorf("gc.auto is %s: git might rewrite packs", got)
	}
	check(t, vfs.OS{}, dir)
	j = open(t, vfs.OS{}, dir, journal.Options{PublishInterval: -1})
	if got, _ := j.Ref(mainRef); got != next.ID || len(j.Refs("refs/heads/")) != 2 {
		t.Errorf("after opening again: main is %s, refs are %v", got, j.Refs(""))
	}
}

// TestOpensPushedTo opens a repository whose refs are files, which Git would go on to believe.
func TestOpensPushedTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r.git")
	git(t, t.TempDir(), "init", "-q", "--bare", "-b", "main", dir)
	tree := git(t, dir, "hash-object", "-t", "tree", "-w", "/dev/null")
	commit := git(t, dir, "-c", "user.name=t", "-c", "user.email=t@t", "commit-tree", "-m", "theirs", tree)
	git(t, dir, "update-ref", mainRef, commit)
	j := open(t, vfs.OS{}, dir, journal.Options{PublishInterval: -1})
	h := history{n: 1, head: mustRef(t, j, mainRef)}
	for range 3 {
		appendOne(t, j, h.next(), true)
	}
	closeJournal(t, j)
	if got := git(t, dir, "rev-parse", "main"); got != h.head.String() {
		t.Errorf("git sees %s, want %s", got, h.head)
	}
	if got := git(t, dir, "rev-list", "--count", "main"); got != "4" {
		t.Errorf("git counts %s commits", got)
	}
	check(t, vfs.OS{}, dir)
	if err := os.WriteFile(filepath.Join(dir, mainRef), []byte(commit+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := ""
	if err := journal.Check(vfs.OS{}, dir, func(law, _ string) { broken += law }); err != nil || broken != "J7" {
		t.Errorf("a ref moved past the journal: Check says %q, %v", broken, err)
	}
}

// TestOpensLocalClones opens a clone of a journal that Git made by linking
// files: segments and tails of another come along.
func TestOpensLocalClones(t *testing.T) {
	dir, clone := t.TempDir()+"/r.git", t.TempDir()+"/c.git"
	o := journal.Options{SegmentSize: 16 << 10, PublishInterval: -1}
	j := open(t, vfs.OS{}, dir, o)
	var h history
	var frames []journal.Frame
	for range 100 {
		frames = append(frames, h.next())
		appendOne(t, j, frames[len(frames)-1], true)
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "clone", "-q", "--mirror", dir, clone)
	for range 2 {
		c := open(t, vfs.OS{}, clone, o)
		expectObjects(t, c, frames)
		for range 50 {
			frames = append(frames, h.next())
			appendOne(t, c, frames[len(frames)-1], true)
		}
		closeJournal(t, c)
		check(t, vfs.OS{}, clone)
		git(t, clone, "fsck", "--strict", "--no-dangling")
	}
	if got := git(t, clone, "rev-list", "--count", "main"); got != "200" {
		t.Errorf("git counts %s commits", got)
	}
	closeJournal(t, j)
	check(t, vfs.OS{}, dir)
}

func mustRef(tb testing.TB, j *journal.Journal, name string) gitobj.ID {
	tb.Helper()
	id, ok := j.Ref(name)
	if !ok {
		tb.Fatalf("no %s", name)
	}
	return id
}
