// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mirror"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// person clones the forge and works there.
func person(t *testing.T, f *forge) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, "", "clone", "-q", "-b", "main", f.dir, dir)
	return dir
}

// begun is a mirrored hub with a branch in it.
func begun(t *testing.T, o mirror.Options) (*forge, *rig, *heaven) {
	t.Helper()
	f := newForge(t)
	r := start(t, &vfs.Mem{}, f.client(secret), o)
	a := r.heaven("heavens/a")
	a.write("registry/x", "1")
	r.inStep(f)
	return f, r, a
}

// TestOthersPush holds law F3: what others push to the forge's main is merged, and everybody ends up with everything.
func TestOthersPush(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{})
	dir := person(t, f)
	f.link.set(cut) // both write while they do not see each other
	a.write("registry/x", "2")
	commitFile(t, dir, "registry/y", "by hand")
	git(t, dir, "push", "-q", "origin", "main")
	theirs := git(t, dir, "rev-parse", "HEAD")
	f.link.set(nil)
	want := map[string]string{"registry/x": "2", "registry/y": "by hand"}
	eventually(t, "main has both", func() bool { return maps.Equal(r.main(), want) })
	r.inStep(f)
	if got := keys(t, f.dir, "main"); !maps.Equal(got, want) {
		t.Errorf("the forge's main has %v, want %v", got, want)
	}
	git(t, f.dir, "merge-base", "--is-ancestor", theirs, "main")
	if log := git(t, f.dir, "log", "--format=%s", "main"); !strings.Contains(log, "forge/main") {
		t.Errorf("the merge is not on record: %s", log)
	}
	if s := r.mirror.Status(); s.TakenIn != 1 || s.Lost != 0 {
		t.Errorf("status: %+v", s)
	}
	git(t, dir, "pull", "-q", "--ff-only", "origin", "main") // and nobody is in the person's way
	commitFile(t, dir, "registry/y", "again")
	git(t, dir, "push", "-q", "origin", "main")
	want["registry/y"] = "again"
	eventually(t, "main has it again", func() bool { return maps.Equal(r.main(), want) })
	r.inStep(f)
}

// TestForgeLosesHistory holds laws F2 and F4: what the forge has lost, in whichever way, it gets again.
func TestForgeLosesHistory(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, f *forge, first string){
		"recreated empty": func(_ *testing.T, f *forge, _ string) { f.wipe() },
		"a branch is gone": func(t *testing.T, f *forge, _ string) {
			t.Helper()
			git(t, f.dir, "update-ref", "-d", "refs/heads/main")
		},
		"gone back": func(t *testing.T, f *forge, first string) {
			t.Helper()
			git(t, f.dir, "update-ref", "refs/heads/main", first)
			git(t, f.dir, "update-ref", "refs/heads/heavens/a", first)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, r, a := begun(t, mirror.Options{})
			first := f.head("main")
			a.write("registry/x", "2")
			r.inStep(f)
			lose(t, f, first)
			eventually(t, "the loss is seen", func() bool { return r.mirror.Status().Lost > 0 })
			r.inStep(f)
			if got := r.main(); got["registry/x"] != "2" {
				t.Errorf("the loss was obeyed: main has %v", got)
			}
			git(t, f.dir, "fsck", "--strict", "--no-progress")
		})
	}
}

// TestRewritten holds laws F2 and F3 where a branch was given another history:
// it is kept, at the forge, too, nobody merges it, and what was there is put back.
func TestRewritten(t *testing.T) {
	t.Parallel()
	f, r, _ := begun(t, mirror.Options{})
	was := f.head("main")
	dir := person(t, f)
	git(t, dir, "checkout", "-q", "--orphan", "other")
	commitFile(t, dir, "registry/x", "squashed")
	git(t, dir, "push", "-q", "-f", "origin", "other:main")
	theirs := git(t, dir, "rev-parse", "HEAD")
	eventually(t, "theirs is kept", func() bool { return len(r.mirror.Status().Kept) == 1 })
	r.inStep(f)
	s := r.mirror.Status()
	if want := "rewritten/main/" + theirs[:12]; s.Kept[0] != want || f.head(want) != theirs {
		t.Errorf("kept %v, and at the forge %q is %q", s.Kept, want, f.head(want))
	}
	if s.Lost == 0 || f.head("main") != was || r.main()["registry/x"] != "1" {
		t.Errorf("lost %d, the forge's main is at %s, was %s; the hub's has %v", s.Lost, f.head("main"), was, r.main())
	}
}

// TestOthersMoveABranch shows what becomes of a heaven's branch that others move at the forge: main gets what they did,
// then the branch is its writer's again.
func TestOthersMoveABranch(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{})
	dir := person(t, f)
	git(t, dir, "checkout", "-q", "-b", "mine", "origin/heavens/a")
	commitFile(t, dir, "registry/y", "by hand")
	git(t, dir, "push", "-q", "origin", "mine:heavens/a")
	want := map[string]string{"registry/x": "1", "registry/y": "by hand"}
	eventually(t, "main has it", func() bool { return maps.Equal(r.main(), want) })
	r.inStep(f)
	a.write("registry/x", "2") // the writer knows nothing of all this
	want["registry/x"] = "2"
	eventually(t, "main has both", func() bool { return maps.Equal(r.main(), want) })
	r.inStep(f)
}

// TestForeignBranches lets others keep branches of their own at the forge, and a heaven push there without the hub.
func TestForeignBranches(t *testing.T) {
	t.Parallel()
	f, r, _ := begun(t, mirror.Options{})
	dir := person(t, f)
	commitFile(t, dir, "registry/z", "a proposal")
	git(t, dir, "push", "-q", "origin", "HEAD:proposals/z")
	commitFile(t, dir, "registry/far", "a node that sees only the forge")
	git(t, dir, "push", "-q", "origin", "HEAD:nodes/far")
	far := git(t, dir, "rev-parse", "HEAD")
	eventually(t, "main has what the node wrote", func() bool { return r.main()["registry/far"] != "" })
	r.inStep(f)
	if f.head("nodes/far") != far || f.head("proposals/z") == "" {
		t.Errorf("the forge has nodes/far at %s, want %s", f.head("nodes/far"), far)
	}
	if refs := r.journal.Refs("refs/heads/proposals/"); len(refs) != 0 {
		t.Errorf("the hub has %v", refs)
	}
}

// TestHeavensAtTheForge has heavens push to the forge alone: a hub merges them there, and gives main back.
func TestHeavensAtTheForge(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	r := open(t, &vfs.Mem{}, f.client(secret), mirror.Options{}, true) // its main begins with heavens/a
	dir := filepath.Join(t.TempDir(), "a")
	git(t, "", "init", "-q", "--initial-branch=work", dir)
	commitFile(t, dir, "registry/x", "1")
	git(t, dir, "push", "-q", f.dir, "HEAD:refs/heads/heavens/a")
	eventually(t, "the forge has main", func() bool { return f.head("main") != "" && keys(t, f.dir, "main")["registry/x"] == "1" })
	commitFile(t, dir, "registry/x", "2")
	git(t, dir, "push", "-q", f.dir, "HEAD:refs/heads/heavens/a")
	eventually(t, "main has it", func() bool { return keys(t, f.dir, "main")["registry/x"] == "2" })
	if s := r.mirror.Status(); s.LastError != "" || s.Failures != 0 || len(s.Kept) != 0 {
		t.Errorf("status: %+v", s)
	}
}

// TestUnsafeTree shows that a tree which no heaven could read stops main at the forge, with the reason, and nothing else.
func TestUnsafeTree(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{})
	dir := person(t, f)
	was := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+was+",registry/module")
	git(t, dir, "commit", "-q", "-m", "add a submodule")
	git(t, dir, "push", "-q", "origin", "main")
	eventually(t, "it is told", func() bool { return strings.Contains(r.mirror.Status().LastError, "unsafe tree") })
	a.write("registry/x", "2")
	eventually(t, "the hub goes on", func() bool { return r.main()["registry/x"] == "2" })
	if got := r.main(); len(got) != 1 {
		t.Errorf("main has %v", got)
	}
	git(t, dir, "rm", "-q", "--cached", "registry/module")
	git(t, dir, "commit", "-q", "-m", "take it out")
	git(t, dir, "reset", "-q", "--soft", was)
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "nothing")
	git(t, dir, "push", "-q", "-f", "origin", "main")
	r.inStep(f)
}

// TestRestore holds law F8: a hub that has lost its volume begins with what the forge has; heavens go on where they were.
func TestRestore(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{})
	b := r.heaven("nodes/b")
	b.follow()
	b.write("registry/y", "2")
	r.inStep(f)
	was := r.journal.Refs("refs/heads/")
	r.stop()
	r = start(t, &vfs.Mem{}, f.client(secret), mirror.Options{})
	if got := r.journal.Refs("refs/heads/"); !maps.Equal(got, was) {
		t.Errorf("restored %v, want %v", got, was)
	}
	for _, h := range []*heaven{a, b} {
		git(t, h.dir, "config", "remote.hub.url", r.url)
	}
	a.write("registry/x", "3")
	b.write("registry/y", "4")
	want := map[string]string{"registry/x": "3", "registry/y": "4"}
	eventually(t, "main has both", func() bool { return maps.Equal(r.main(), want) })
	r.inStep(f)
	if s := r.mirror.Status(); s.Lost != 0 || s.TakenIn != 0 {
		t.Errorf("status: %+v", s)
	}
}

// TestRestoreWaits lets an empty hub begin with nothing else while the forge is away.
func TestRestoreWaits(t *testing.T) {
	t.Parallel()
	f, r, _ := begun(t, mirror.Options{})
	was := r.journal.Refs("refs/heads/")
	r.stop()
	f.link.set(cut)
	before, _ := f.link.count()
	go func() {
		for n := before; n < before+4; n, _ = f.link.count() {
			time.Sleep(time.Millisecond)
		}
		f.link.set(nil)
	}()
	r = start(t, &vfs.Mem{}, f.client(secret), mirror.Options{})
	if got := r.journal.Refs("refs/heads/"); !maps.Equal(got, was) {
		t.Errorf("restored %v, want %v", got, was)
	}
}

// TestRestoreAnotherProject lets no hub begin with somebody else's history.
func TestRestoreAnotherProject(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	work := filepath.Join(t.TempDir(), "work")
	git(t, "", "init", "-q", "--initial-branch=main", work)
	commitFile(t, work, "README.md", "an application")
	git(t, work, "push", "-q", f.dir, "main")
	r := open(t, &vfs.Mem{}, f.client(secret), mirror.Options{}, false)
	n, err := mirror.New(r.journal, f.client(secret), mirror.Options{URL: f.url}).Restore(t.Context())
	if n != 0 || err == nil || !strings.Contains(err.Error(), "not this cluster's") {
		t.Errorf("restored %d branches: %v", n, err)
	}
}

// TestDown lets the forge be away for a day: its age is told, it is not pestered, and then it gets everything (laws F4, F5, F7).
func TestDown(t *testing.T) {
	t.Parallel()
	clk := clocktesting.NewFakeClock(time.Now())
	f := newForge(t)
	r := start(t, &vfs.Mem{}, f.client(secret), mirror.Options{Clock: clk, Interval: 10 * time.Second, Poll: time.Minute, MinPause: time.Second, MaxPause: 5 * time.Minute})
	a := r.heaven("heavens/a")
	a.write("registry/x", "1")
	stepping := make(chan struct{})
	go func() {
		defer close(stepping)
		for r.mirror.Status().Pushes == 0 || r.mirror.Status().OldestUnpushed != nil {
			clk.Step(time.Second)
			time.Sleep(2 * time.Millisecond)
		}
	}()
	<-stepping
	r.inStep(f)
	f.link.set(cut)
	before, _ := f.link.count()
	a.write("registry/x", "2")
	eventually(t, "it is noted", func() bool { return r.mirror.Status().OldestUnpushed != nil })
	since := *r.mirror.Status().OldestUnpushed
	for minute := range 24 * 60 {
		clk.Step(time.Minute)
		if minute%360 == 0 {
			a.write("registry/y", strings.Repeat("y", minute+1))
		}
		time.Sleep(500 * time.Microsecond)
	}
	s := r.mirror.Status()
	if age := time.Duration(s.RPOSeconds * float64(time.Second)); age < 24*time.Hour || age > 25*time.Hour || !s.OldestUnpushed.Equal(since) {
		t.Errorf("the age is %s, since %s, want since %s", age, s.OldestUnpushed, since)
	}
	if after, _ := f.link.count(); after-before > 24*60/2 {
		t.Errorf("the forge was asked %d times within a day", after-before)
	}
	f.link.set(nil)
	eventually(t, "the age is gone", func() bool {
		clk.Step(10 * time.Second)
		return r.mirror.Status().RPOSeconds == 0
	})
	r.inStep(f)
}

// TestAgeOutlivesRestart holds law F7 over a restart.
func TestAgeOutlivesRestart(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{})
	f.link.set(cut)
	a.write("registry/x", "2")
	eventually(t, "it is noted", func() bool { return r.mirror.Status().OldestUnpushed != nil })
	since := *r.mirror.Status().OldestUnpushed
	time.Sleep(1100 * time.Millisecond)
	r.stop()
	r = open(t, r.disk, f.client(secret), mirror.Options{}, true)
	eventually(t, "it is known again", func() bool { return r.mirror.Status().OldestUnpushed != nil })
	if again := *r.mirror.Status().OldestUnpushed; again.After(since) || again.Before(since.Add(-2*time.Second)) {
		t.Errorf("after a restart the oldest change is of %s, was %s", again, since)
	}
	f.link.set(nil)
	r.inStep(f)
}

// TestRefused lets the forge refuse one branch for good: the others are handed in, and the reason is told.
func TestRefused(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{})
	b := r.heaven("nodes/b")
	hook(t, f, "#!/bin/sh\n[ \"$1\" != refs/heads/nodes/b ] || { echo 'nodes/b is protected' >&2; exit 1; }\n")
	b.follow()
	b.write("registry/y", "1")
	a.write("registry/x", "2")
	eventually(t, "main is there, and the reason is told", func() bool {
		s := r.mirror.Status()
		return strings.Contains(s.LastError, "nodes/b") && strings.Contains(s.LastError, "hook") && len(s.Branches) == 1 && keys(t, f.dir, "main")["registry/y"] == "1"
	})
	if s := r.mirror.Status(); s.Branches[0].Name != "nodes/b" || s.RPOSeconds == 0 {
		t.Errorf("status: %+v", s)
	}
	hook(t, f, "#!/bin/sh\n")
	r.inStep(f)
}

// TestLeave hands in what is left when the hub is stopped, whatever the interval.
func TestLeave(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{Interval: 5 * time.Second})
	a.write("registry/x", "2")
	eventually(t, "main has it", func() bool { return r.main()["registry/x"] == "2" })
	r.stop()
	if got := keys(t, f.dir, "main")["registry/x"]; got != "2" {
		t.Errorf("the forge has %q", got)
	}
}

// TestStopped ends while the forge hangs, at once.
func TestStopped(t *testing.T) {
	t.Parallel()
	f, r, a := begun(t, mirror.Options{Leave: time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.link.set(hang(ctx))
	n, _ := f.link.count()
	a.write("registry/x", "2")
	eventually(t, "it hangs", func() bool { now, _ := f.link.count(); return now > n })
	from := time.Now()
	r.stop()
	if took := time.Since(from); took > 10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}
