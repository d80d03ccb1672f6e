// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// daily makes commits six hours apart, from the first of November on.
func daily(h *renewals) journal.Frame {
	f := h.next(5)
	last := len(f.Objects) - 1
	c, err := gitobj.DecodeCommit(f.Objects[last].Data)
	if err != nil {
		panic(err)
	}
	c.Author.When = time.Date(2026, 11, 1, 6*(h.n-1), 0, 0, 0, time.UTC)
	c.Committer.When = c.Author.When
	f.Objects[last] = object(gitobj.KindCommit, c.Encode())
	h.head = f.Objects[last].ID
	f.Refs[0].New = h.head
	return f
}

// TestShorten keeps ten days of thirty, then eight of thirty-four: ids stay, and each day before is one commit.
func TestShorten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "r.git")
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1, Keep: keepNone}
	j := open(t, vfs.OS{}, dir, o)
	h := &renewals{}
	var heads []gitobj.ID
	write := func(n int) {
		for range n {
			appendOne(t, j, daily(h), false)
			heads = append(heads, h.head)
		}
		if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
			t.Fatal(err)
		}
		if err := j.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write(8)
	appendOne(t, j, journal.Frame{Record: []byte("t"), Refs: []journal.RefUpdate{{Name: "refs/tags/v1", New: h.head}}}, false)
	write(112)
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "tag", "by-git", heads[20].String()) // the journal does not know of it
	days := 0
	for _, keep := range []struct {
		before            time.Time
		commits, boundary int
		more              int
	}{
		{time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), 41, 3, 0},
		{time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), 35, 3, 16},
	} {
		write(keep.more)
		s, err := j.Shorten(t.Context(), keep.before)
		if err != nil {
			t.Fatal(err)
		}
		days += s.Checkpoints
		if s.Boundary != keep.boundary || s.Commits != keep.commits {
			t.Errorf("%+v, want %+v", s, keep)
		}
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
			t.Fatal(err)
		}
		if err := j.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "fsck", "--strict", "--full")
		check(t, vfs.OS{}, dir)
		if got := git(t, dir, "rev-list", "--count", "main"); got != fmt.Sprint(keep.commits-2) { // and the tags
			t.Errorf("git counts %s commits", got)
		}
		if got := git(t, dir, "rev-parse", "main~10"); got != heads[len(heads)-11].String() {
			t.Errorf("main~10 is %s, was %s", got, heads[len(heads)-11])
		}
		for n, id := range heads[:40] {
			if there := j.Has(id); there != (n == 7 || n == 20) { // the tags'
				t.Errorf("commit %d of %d: %v", n, len(heads), there)
			}
		}
		closeJournal(t, j)
		j = open(t, vfs.OS{}, dir, o)
		if !j.Shallow() {
			t.Error("the boundary is forgotten")
		}
	}
	log := strings.Split(git(t, dir, "log", "--format=%cd %s", "--date=format:%d %H", "refs/gitcd/checkpoints/heads/main"), "\n")
	if len(log) != days || days != 25 || log[0] != "25 18 main at the end of 2026-11-25" {
		t.Errorf("%d days, git log has %d: %v", days, len(log), log)
	}
	if got := git(t, dir, "show", "refs/gitcd/checkpoints/heads/main~20:node-000000"); !strings.Contains(got, "node-0") {
		t.Errorf("a day's value: %s", got)
	}
	for i, url := range []string{"file://" + dir, dir} {
		clone := filepath.Join(t.TempDir(), fmt.Sprint(i))
		git(t, dir, "clone", "-q", "--bare", url, clone)
		git(t, clone, "fsck", "--strict")
		if got := git(t, clone, "rev-list", "--count", "main"); got != "33" {
			t.Errorf("a clone has %s commits", got)
		}
	}
	write(4)
	closeJournal(t, j)
	check(t, vfs.OS{}, dir)
	git(t, dir, "fsck", "--strict", "--full")
}

// TestShortenCrashAnywhere cuts the power before each operation of a shortening and the repack behind it.
func TestShortenCrashAnywhere(t *testing.T) {
	t.Parallel()
	m, o := &vfs.Mem{}, journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone}
	j := open(t, m, memDir, o)
	h := &renewals{}
	for range 40 {
		appendOne(t, j, daily(h), false)
	}
	if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
		t.Fatal(err)
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)
	shorten := func(j *journal.Journal) error {
		if _, err := j.Shorten(t.Context(), before); err != nil {
			return err
		}
		_, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true})
		return err
	}
	random := rand.New(rand.NewPCG(4, 4))
	ops := 0
	m.SetHook(func(op vfs.Op) error {
		if ops++; t.Failed() || op.Kind == vfs.OpRead || op.Kind == vfs.OpOpen || ops%2 == 0 && testing.Short() {
			return nil
		}
		for _, crash := range []vfs.Crash{vfs.Kill, vfs.DropUnsynced, vfs.Tear} {
			what := fmt.Sprintf("crash %d before %s %s", crash, op.Kind, op.Name)
			left := m.CrashClone(crash, random)
			again, err := journal.Open(t.Context(), left, memDir, o)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if got := mustRef(t, again, mainRef); got != h.head {
				t.Fatalf("%s: main is %s", what, got)
			}
			if err := shorten(again); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			appendOne(t, again, journal.Frame{Objects: []pack.Object{object(gitobj.KindBlob, []byte(what))}}, true)
			closeJournal(t, again)
			check(t, left, memDir)
			if t.Failed() {
				t.Fatal(what)
			}
		}
		return nil
	})
	if err := shorten(j); err != nil {
		t.Fatal(err)
	}
	m.SetHook(nil)
	closeJournal(t, j)
	check(t, m, memDir)
}
