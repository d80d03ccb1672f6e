// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

const leaseKey = "/registry/leases/kube-node-lease/n"

func aside(t *testing.T, s *mvcc.Store, key, value string) {
	t.Helper()
	n, err := s.Aside(t.Context(), []string{key, "/not/there"}, func(k string, _ []byte) ([]byte, bool) {
		if k != key {
			t.Errorf("asked for %s", k)
		}
		return []byte(value), true
	})
	if err != nil || n != 1 {
		t.Fatalf("%d keys put aside, %v", n, err)
	}
}

func waiting(t *testing.T, s *mvcc.Store) string {
	t.Helper()
	found, err := s.Waiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, w := range found {
		text += w.Key + "=" + string(w.Value) + " "
	}
	return text
}

// sound reads a log as gitcd verify does.
func sound(t *testing.T, log mvcc.Log, o mvcc.Options) {
	t.Helper()
	if _, err := mvcc.Check(t.Context(), log, o, func(law, where string) { t.Errorf("%s: %s", law, where) }); err != nil {
		t.Fatal(err)
	}
}

// TestAside puts a value beside the tree (M11).
func TestAside(t *testing.T) {
	log, o := &mvcc.MemLog{}, mvcc.Options{Branch: branch, Epoch: 1}
	s := open(t, log, o)
	do(t, s, put(leaseKey, "1"))
	head := flush(t, s)
	w := watch(t, s, mvcc.WatchRequest{Key: leaseKey})
	aside(t, s, leaseKey, "2")
	if have := brief(next(t, w)); have != "+"+leaseKey+"@3 " || get(t, s, leaseKey, 0) != "2" || get(t, s, leaseKey, 2) != "1" {
		t.Fatalf("event %s, value %s", have, get(t, s, leaseKey, 0))
	}
	if text := waiting(t, s); text != "" || flush(t, s) != head {
		t.Fatalf("what is aside is to be committed: %q", text)
	}
	do(t, s, put("/a", "1"))
	head = flush(t, s)
	if have := fmt.Sprint(files(t, log, head)); have != "map[/a:1 "+leaseKey+":1]" {
		t.Fatalf("tree %s", have)
	}
	sound(t, log, o) // as a crash leaves it
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound(t, log, o) // from the checkpoint
	s = open(t, log, o)
	if get(t, s, leaseKey, 0) != "2" || s.Revision() != 4 {
		t.Fatalf("after a restart: %s at %d", get(t, s, leaseKey, 0), s.Revision())
	}

	// A merge that brings what the store has already: now the tree has it, too.
	other := open(t, cloned(t, log, head), mvcc.Options{Branch: branch, Epoch: 2, Holder: "other"})
	do(t, other, put(leaseKey, "2"))
	theirs := flush(t, other)
	fetch(t, log, other, theirs)
	view, err := s.PatientView(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Merge(t.Context(), mvcc.Merge{
		Theirs: theirs, Base: head, Message: "merge", Leave: true,
		Changes: []mvcc.KeyChange{{Key: leaseKey, Expect: view.ModRevision(leaseKey), Value: []byte("2")}},
	})
	if err != nil || !r.FastForward || s.Revision() != 4 {
		t.Fatalf("%+v, revision %d, %v", r, s.Revision(), err)
	}
	sound(t, log, o)
	do(t, s, put(leaseKey, "3"))
	if have := fmt.Sprint(files(t, log, flush(t, s))); have != "map[/a:1 "+leaseKey+":3]" {
		t.Errorf("tree %s", have)
	}
}

// TestMergeLeavesWaiting follows another branch while a lease waits for its
// commit, and loses commits in a crash at any place: the same are made again (M7).
func TestMergeLeavesWaiting(t *testing.T) {
	p, clk := &tape{}, testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	o := mvcc.Options{Branch: branch, Epoch: 1, Clock: clk, BatchInterval: time.Hour}
	s := open(t, p, o)
	do(t, s, put("/x", "0"), put(leaseKey, "0"))
	base := flush(t, s)
	other := open(t, cloned(t, p, base), mvcc.Options{Branch: branch, Epoch: 2, Holder: "other", Clock: clk})
	random := rand.New(rand.NewPCG(1, 2))
	forwards, waits := 0, 0
	for i := range 60 {
		clk.Step(time.Second)
		value := fmt.Sprint(i)
		if random.IntN(3) > 0 {
			do(t, s, put(leaseKey, value))
		}
		if random.IntN(4) == 0 {
			aside(t, s, leaseKey, value+" aside")
		}
		if random.IntN(5) == 0 {
			do(t, s, put("/y", value))
		}
		do(t, other, put("/x", value))
		theirs := flush(t, other)
		fetch(t, p, other, theirs)
		view, err := s.PatientView(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if view.Waits(leaseKey) {
			waits++
		}
		if random.IntN(6) == 0 {
			do(t, s, put("/z", value)) // meanwhile: it is in the merge, and the lease with it
		}
		r, err := s.Merge(t.Context(), mvcc.Merge{
			Theirs: theirs, Base: base, Message: "merge", Leave: true,
			Changes: []mvcc.KeyChange{{Key: "/x", Expect: view.ModRevision("/x"), Value: []byte(value)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.FastForward {
			forwards++
		} else {
			stepTo(t, other, s, r.Head)
		}
		base = r.Head
	}
	value := get(t, s, leaseKey, 0)
	do(t, s, put(leaseKey, "last"))
	want := flush(t, s)
	if files(t, p, want)[leaseKey] != "last" || waits == 0 || forwards == 0 {
		t.Errorf("lease %s in the tree, %s before; waited %d times, %d steps forward", files(t, p, want)[leaseKey], value, waits, forwards)
	}
	sound(t, p, o)
	for kept := range len(p.frames) {
		again := open(t, p.crashed(t, kept), o)
		if have := flush(t, again); have != want {
			t.Fatalf("with %d commits kept the head is %s, want %s", kept, have, want)
		}
		if err := again.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("waited %d times, %d steps forward", waits, forwards)
}

// stepTo moves another store to a head that holds its own.
func stepTo(t *testing.T, other, s *mvcc.Store, head gitobj.ID) {
	t.Helper()
	fetch(t, mvcc.LogOf(other), s, head)
	view, err := other.MergeView(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := mvcc.Merge{Theirs: head, Base: view.Head, Message: "merge"}
	for key, value := range files(t, mvcc.LogOf(s), head) {
		m.Changes = append(m.Changes, mvcc.KeyChange{Key: key, Expect: view.ModRevision(key), Value: []byte(value)})
	}
	slices.SortFunc(m.Changes, func(a, b mvcc.KeyChange) int { return len(a.Key) - len(b.Key) })
	if _, err := other.Merge(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}
