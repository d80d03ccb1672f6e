// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestJ11CrashAnywhere cuts the power before each operation of a repack, opens
// what is left, writes on, and repacks again.
func TestJ11CrashAnywhere(t *testing.T) {
	t.Parallel()
	o := journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone}
	m := &vfs.Mem{}
	h := sealedRenewals(t, m, memDir, 40, o)
	random := rand.New(rand.NewPCG(3, 1))
	crashes := 0
	survives := func(m *vfs.Mem, head gitobj.ID, what string) {
		j, err := journal.Open(t.Context(), m, memDir, o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := mustRef(t, j, mainRef); got != head {
			t.Fatalf("%s: main is %s, was %s", what, got, head)
		}
		n := len(reached(t, j))
		appendOne(t, j, journal.Frame{Record: []byte("more"), Objects: []pack.Object{object(gitobj.KindBlob, []byte(what))}}, true)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if again := len(reached(t, j)); again != n {
			t.Fatalf("%s: %d objects are reached, were %d", what, again, n)
		}
		if h := j.History(); h.Packs != 1 || h.Superseded != 0 {
			t.Fatalf("%s: %+v", what, h)
		}
		closeJournal(t, j)
		check(t, m, memDir)
		for name := range m.Files() {
			if dir, base := path.Split(name); strings.HasSuffix(dir, "pack/") && !strings.HasSuffix(base, ".pack") && !strings.HasSuffix(base, ".idx") && !strings.HasSuffix(base, ".keep") {
				t.Errorf("%s: %s is left", what, name)
			}
		}
		if t.Failed() {
			t.Fatal(what)
		}
	}
	j := open(t, m, memDir, o)
	ops := 0
	hook := func(op vfs.Op) error {
		if t.Failed() || op.Kind == vfs.OpRead || op.Kind == vfs.OpOpen || strings.HasSuffix(op.Name, "/lock") {
			return nil
		}
		if ops++; ops%4 != 0 && testing.Short() {
			return nil
		}
		for _, crash := range []vfs.Crash{vfs.DropUnsynced, vfs.Kill, vfs.Tear}[ops%3 : ops%3+1] { // in turn
			survives(m.CrashClone(crash, random), h.head, fmt.Sprintf("crash %d before %s %s", crash, op.Kind, op.Name))
			crashes++
		}
		return nil
	}
	for range 2 { // first segments are folded, then segments and a folded pack
		m.SetHook(hook)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil {
			t.Fatal(err)
		}
		m.SetHook(nil)
		for range 25 {
			appendOne(t, j, h.next(8), false)
		}
		if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
			t.Fatal(err)
		}
		if err := j.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	closeJournal(t, j)
	check(t, m, memDir)
	t.Logf("%d crashes at %d operations", crashes, ops)
}

// TestJ11NamedAgain names, while a fold is on its way, a commit that no ref
// reached when it began: a writer had been told that it is there.
func TestJ11NamedAgain(t *testing.T) {
	t.Parallel()
	m, clock := &vfs.Mem{}, clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0))
	o := journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone, Clock: clock, RepackRate: -1}
	j := open(t, m, memDir, o)
	lost := &renewals{}
	appendOne(t, j, lost.next(1), false)
	appendOne(t, j, lost.next(1), false)
	appendOne(t, j, journal.Frame{Record: []byte("gone"), Refs: []journal.RefUpdate{{Name: mainRef, Old: lost.head}}}, false)
	h := &renewals{}
	for range 100 {
		f := h.next(8)
		f.Refs[0].Name = "refs/heads/other"
		appendOne(t, j, f, false)
	}
	if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
		t.Fatal(err)
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !j.Has(lost.head) {
		t.Fatal("the lost commit is not there")
	}
	if got, err := j.Repack(t.Context(), journal.Repacking{}); err != nil || got.Packs == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if j.Has(lost.head) {
		t.Error("the lost commit is spoken of though it is about to go")
	}
	appendOne(t, j, journal.Frame{Record: []byte("named"), Refs: []journal.RefUpdate{{Name: mainRef, New: lost.head}}}, true)
	for range 3 {
		clock.Step(2 * time.Minute)
		if _, err := j.Repack(t.Context(), journal.Repacking{All: true}); err != nil {
			t.Fatal(err)
		}
		reached(t, j)
	}
	if h := j.History(); h.Packs > 2 || h.Superseded != 0 {
		t.Errorf("have %+v", h)
	}
	closeJournal(t, j)
	check(t, m, memDir)
}
