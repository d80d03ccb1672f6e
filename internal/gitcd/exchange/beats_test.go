// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
)

const nodeLease = "/registry/leases/kube-node-lease/a"

func leaseBy(holder string, second int) string {
	return fmt.Sprintf(`{"kind":"Lease","metadata":{"name":"a","namespace":"kube-node-lease","uid":"u"},"spec":{"holderIdentity":%q,"renewTime":"2026-11-22T10:%02d:%02d.000000Z"}}`,
		holder, second/60, second%60)
}

// beating is a hub with a node and a kube-controller-manager that beat fast.
func beating(t *testing.T) (h *theHub, front, manager, node *heaven) {
	t.Helper()
	h = startHub(t)
	join := func(name string, genesis bool) *heaven {
		v := newHeaven(t, h, name, "x")
		v.beats, v.batch = true, time.Hour
		v.tune = func(o *exchange.Options) {
			o.BeatEvery, o.LazyWait, o.Gather = 10*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond
		}
		return v.start(genesis)
	}
	front = join("heavens/apiserver", true)
	front.put("/registry/a", "1")
	manager, node = join("heavens/kube-controller-manager", false), join("nodes/a", false)
	settled(t, h, front, manager, node)
	node.put(nodeLease, leaseBy("a", 0))
	eventually(t, "the lease is everywhere, by Git", func() bool {
		return manager.get(nodeLease) == leaseBy("a", 0) && front.get(nodeLease) == leaseBy("a", 0)
	})
	return h, front, manager, node
}

func (h *theHub) passes() int64 { return h.status().Passes }

// TestRenewalsTravelBeside has a node renew its lease: others see it soon, and
// there is no commit. What is more than that goes by Git (laws B1 to B3, X8).
func TestRenewalsTravelBeside(t *testing.T) {
	h, front, manager, node := beating(t)
	for second := range 3 { // by now the node knows what the others have
		time.Sleep(200 * time.Millisecond)
		node.put(nodeLease, leaseBy("a", 1+second))
		eventually(t, "a renewal is seen", func() bool { return manager.get(nodeLease) == leaseBy("a", 1+second) })
	}
	time.Sleep(1500 * time.Millisecond)
	passes, main := h.passes(), h.status().Main
	for second := 10; second <= 25; second++ {
		node.put(nodeLease, leaseBy("a", second))
		want := leaseBy("a", second)
		eventually(t, "a renewal is seen", func() bool { return manager.get(nodeLease) == want && front.get(nodeLease) == want })
	}
	if now := h.status().Main; now != main || h.passes() != passes {
		t.Errorf("renewals made %d passes, main is at %s, was at %s", h.passes()-passes, now, main)
	}

	// Others write meanwhile: the node follows without a commit of its own.
	pushes := node.exchange.Status().Pushes
	for i := range 5 {
		front.put("/registry/b", fmt.Sprint(i))
		eventually(t, "the node has it", func() bool { return node.get("/registry/b") == fmt.Sprint(i) })
		node.put(nodeLease, leaseBy("a", 30+i))
		eventually(t, "a renewal is seen", func() bool { return manager.get(nodeLease) == leaseBy("a", 30+i) })
	}
	if now := node.exchange.Status().Pushes; now != pushes {
		t.Errorf("to follow main took %d pushes", now-pushes)
	}

	// It changes hands: by Git, and soon, though the store itself would wait for an hour.
	node.put(nodeLease, leaseBy("b", 40))
	eventually(t, "the new holder is seen", func() bool { return manager.get(nodeLease) == leaseBy("b", 40) })
	if h.passes() == passes {
		t.Error("a lease changed hands beside Git")
	}
	node.put(nodeLease, leaseBy("b", 41))
	eventually(t, "the new holder's renewal is seen", func() bool { return manager.get(nodeLease) == leaseBy("b", 41) })

	// What it deletes is gone, though others have renewals of it aside.
	if err := node.tryDelete(nodeLease); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lease is gone everywhere", func() bool { return manager.get(nodeLease) == "" && front.get(nodeLease) == "" })
	settled(t, h, front, manager, node)
	for _, v := range []*heaven{front, manager, node} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestRenewalsOutlive restarts the hub and cuts a link: renewals go on where
// they were, and in the end all have equal trees and equal values.
func TestRenewalsOutlive(t *testing.T) {
	h, front, manager, node := beating(t)
	node.put(nodeLease, leaseBy("a", 1))
	eventually(t, "a renewal is seen", func() bool { return manager.get(nodeLease) == leaseBy("a", 1) })
	h.kill()
	h.start()
	node.put(nodeLease, leaseBy("a", 2))
	eventually(t, "a renewal is seen after the hub was killed", func() bool { return manager.get(nodeLease) == leaseBy("a", 2) })

	node.link.sever()
	node.put(nodeLease, leaseBy("a", 3))
	front.put("/registry/c", "1")
	time.Sleep(300 * time.Millisecond) // longer than Gather
	if have := manager.get(nodeLease); have != leaseBy("a", 2) {
		t.Fatalf("a node that is cut off was heard: %s", have)
	}
	node.put(nodeLease, leaseBy("a", 4))
	node.link.mend()
	eventually(t, "the node is heard again", func() bool {
		return manager.get(nodeLease) == leaseBy("a", 4) && node.get("/registry/c") == "1"
	})

	// A heaven that starts anew has what it was told of.
	if err := manager.halt(); err != nil {
		t.Fatal(err)
	}
	manager.start(false)
	if have := manager.get(nodeLease); have != leaseBy("a", 4) {
		t.Errorf("after a restart: %s", have)
	}
	node.put(nodeLease, leaseBy("a", 5))
	eventually(t, "a renewal is seen after a restart", func() bool { return manager.get(nodeLease) == leaseBy("a", 5) })
	settled(t, h, front, manager, node)
	for _, v := range []*heaven{front, manager} {
		eventually(t, "all have the last value", func() bool { return strings.Contains(v.get(nodeLease), "10:00:05") })
	}
	for _, v := range []*heaven{front, manager, node} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}
