// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// lose waits until a heaven's exchange ends because another writer has the branch.
func lose(t *testing.T, v *heaven) *exchange.FencedError {
	t.Helper()
	select {
	case err := <-v.ended:
		lost := (*exchange.FencedError)(nil)
		if !errors.As(err, &lost) {
			t.Fatalf("the exchange ended with %v", err)
		}
		return lost
	case <-time.After(time.Minute):
		t.Fatalf("%s does not notice that it has lost its branch: %+v", v.holder, v.exchange.Status())
		return nil
	}
}

// TestFencing lets a second holder take a branch while the first is cut off
// and writes on (law X4): the first stops, and nothing that it acknowledged is lost.
func TestFencing(t *testing.T) {
	h := startHub(t)
	door := newHeaven(t, h, "heavens/apiserver", "front").start(true)
	door.put("/registry/a", "1")
	first := newHeaven(t, h, "heavens/kcm", "first").start(false)
	var stopped *exchange.FencedError
	first.tune = func(o *exchange.Options) { o.OnFenced = func(e *exchange.FencedError) { stopped = e } }
	if err := first.halt(); err != nil {
		t.Fatal(err)
	}
	first.start(false)
	if first.taken.Epoch != 1 || first.taken.Offline {
		t.Fatalf("the same holder goes on with its repository, but took %+v", first.taken)
	}
	first.put("/registry/pushed", "1")
	eventually(t, "the first holder's write is in the front door", func() bool { return door.get("/registry/pushed") == "1" })
	first.link.sever()
	first.put("/registry/unpushed", "first")
	first.put("/registry/both", "first")

	second := newHeaven(t, h, "heavens/kcm", "second").start(false)
	if second.taken.Epoch != 2 {
		t.Fatalf("the second holder took %+v, want epoch 2", second.taken)
	}
	if second.get("/registry/pushed") != "1" {
		t.Error("the second holder lacks what the first had pushed")
	}
	second.put("/registry/second", "2")
	first.put("/registry/late", "first") // it does not know yet
	first.link.mend()
	lost := lose(t, first)
	if stopped == nil || !errors.Is(lost, exchange.ErrFenced) || lost.TheirEpoch != 2 || lost.TheirHolder != "second" {
		t.Fatalf("the first holder learned %+v, and was stopped: %v", lost, stopped != nil)
	}
	if want := "refs/heads/fenced/heavens/kcm/1"; lost.HandedIn != want {
		t.Fatalf("handed in to %q, want %q", lost.HandedIn, want)
	}
	for _, key := range []string{"/registry/unpushed", "/registry/late"} {
		eventually(t, key+" is with the second holder", func() bool { return second.get(key) == "first" })
		eventually(t, key+" is in the front door", func() bool { return door.get(key) == "first" })
	}
	settled(t, h, door, second)

	// The first holder is started again, where it should not be: it has to take the branch anew.
	first.close()
	first.start(false)
	if first.taken.Epoch != 3 || first.taken.HandedIn != lost.HandedIn {
		t.Fatalf("the first holder came back with %+v, want epoch 3 and nothing more to hand in", first.taken)
	}
	if lost := lose(t, second); lost.TheirEpoch != 3 || lost.HandedIn != "" {
		t.Fatalf("the second holder learned %+v, want epoch 3 and nothing to hand in", lost)
	}
	second.close()
	settled(t, h, door, first)
	if first.get("/registry/second") != "2" {
		t.Error("the first holder lacks what the second wrote")
	}
	for _, v := range []*heaven{door, first} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestFencedWhileDown lets a holder that lost its branch while it was down, with
// writes that no commit had yet, hand them in when it is started again.
func TestFencedWhileDown(t *testing.T) {
	h := startHub(t)
	door := newHeaven(t, h, "heavens/apiserver", "front").start(true)
	door.put("/registry/a", "1")
	first := newHeaven(t, h, "nodes/n", "first").start(false)
	first.link.sever()
	first.put("/registry/unpushed", "first")
	first.kill()
	second := newHeaven(t, h, "nodes/n", "second").start(false)
	second.put("/registry/second", "2")
	first.start(false)
	if first.taken.Epoch != 3 || first.taken.HandedIn != "refs/heads/fenced/nodes/n/1" {
		t.Fatalf("the first holder came back with %+v", first.taken)
	}
	if lost := lose(t, second); lost.TheirEpoch != 3 {
		t.Errorf("the second holder learned %+v", lost)
	}
	second.close()
	settled(t, h, door, first)
	if door.get("/registry/unpushed") != "first" || first.get("/registry/unpushed") != "first" || first.get("/registry/second") != "2" {
		t.Error("a write was lost")
	}
	for _, v := range []*heaven{door, first} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestOffline lets a holder go on with its repository while the upstream is out of reach.
func TestOffline(t *testing.T) {
	h := startHub(t)
	door := newHeaven(t, h, "heavens/apiserver", "front").start(true)
	door.put("/registry/a", "1")
	node := newHeaven(t, h, "nodes/n", "n").start(false)
	if err := node.halt(); err != nil {
		t.Fatal(err)
	}
	node.link.sever()
	node.start(false)
	if !node.taken.Offline || node.taken.Epoch != 1 {
		t.Fatalf("taken %+v, want epoch 1, offline", node.taken)
	}
	node.put("/registry/offline", "1")
	node.link.mend()
	eventually(t, "what was written offline is in the front door", func() bool { return door.get("/registry/offline") == "1" })
	other := newHeaven(t, h, "nodes/n", "n") // the same holder's name, but not its repository
	other.start(false)
	if other.taken.Epoch != 2 {
		t.Fatalf("a clone took %+v, want the next epoch", other.taken)
	}
	if lost := lose(t, node); lost.TheirEpoch != 2 {
		t.Errorf("the node learned %+v", lost)
	}
	node.close()
	for _, v := range []*heaven{door, other} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestTakeIsRefused shows that a certificate for another branch is a clear error, not a wait.
func TestTakeIsRefused(t *testing.T) {
	h := startHub(t)
	door := newHeaven(t, h, "heavens/apiserver", "front").start(true)
	door.put("/registry/a", "1")
	eventually(t, "there is a main", func() bool { return h.status().Main != "" })
	thief := newHeaven(t, h, "nodes/n", "n")
	thief.link.name = "nodes/other"
	err := thief.tryStart(false)
	if err == nil || !strings.Contains(err.Error(), "nodes/other may push") {
		t.Fatalf("taking another's branch: %v", err)
	}
	if err := thief.journal.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := door.halt(); err != nil {
		t.Error(err)
	}
}

// TestHubLosesHistory lets the hub come back from an old copy of its disk:
// the heavens hand in again what it has lost.
func TestHubLosesHistory(t *testing.T) {
	for _, name := range []string{"an old copy", "nothing"} {
		t.Run(name, func(t *testing.T) {
			h := startHub(t)
			door := newHeaven(t, h, "heavens/apiserver", "front").start(true)
			door.put("/registry/a", "1")
			node := newHeaven(t, h, "nodes/n", "n").start(false)
			settled(t, h, door, node)
			old := h.disk.CrashClone(vfs.Kill, nil)
			if name == "nothing" {
				old = &vfs.Mem{}
			}
			door.put("/registry/b", "1")
			node.put("/registry/c", "1")
			settled(t, h, door, node)
			h.halt()
			h.disk = old
			h.start()
			settled(t, h, door, node)
			for _, key := range []string{"/registry/a", "/registry/b", "/registry/c"} {
				if door.get(key) != "1" || node.get(key) != "1" {
					t.Errorf("%s is lost", key)
				}
			}
			for _, v := range []*heaven{door, node} {
				if err := v.halt(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
