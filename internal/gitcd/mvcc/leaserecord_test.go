// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

func remaining(t *testing.T, s *mvcc.Store, id mvcc.LeaseID) int64 {
	t.Helper()
	l, err := s.Lease(id, false)
	if err != nil {
		t.Fatal(err)
	}
	return l.Remaining
}

// TestLeasesAge restarts a store: long leases have what was left of them, others their full time, and one that was kept
// alive after it was recorded has all of it.
func TestLeasesAge(t *testing.T) {
	log := &mvcc.MemLog{}
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, log, mvcc.Options{Clock: clk})
	grant(t, s, 1, 200)
	grant(t, s, 2, 3600)
	grant(t, s, 3, 3600)
	grant(t, s, 4, 3600)
	step(t, clk, 100*time.Second)
	if _, err := s.KeepAlive(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	batches := s.Stats().Batches.Load()
	step(t, clk, 199*time.Second)
	if _, err := s.KeepAlive(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	step(t, clk, time.Second) // 300 s: the records are made
	until(t, "the record", func() bool { return s.Stats().Batches.Load() > batches })
	if ttl, err := s.KeepAlive(t.Context(), 3); err != nil || ttl != 3600 {
		t.Fatalf("kept alive for %d, %v", ttl, err)
	}
	if _, err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(what string, s *mvcc.Store) {
		t.Helper()
		for id, want := range map[mvcc.LeaseID]int64{1: 200, 2: 3300, 3: 3600, 4: 3300} {
			if have := remaining(t, s, id); have != want {
				t.Errorf("%s: lease %d has %d s left, want %d", what, id, have, want)
			}
		}
	}
	again := open(t, log, mvcc.Options{Clock: clk})
	check("from the records", again)
	if err := again.Close(t.Context()); err != nil { // saves a checkpoint
		t.Fatal(err)
	}
	check("from a checkpoint", open(t, log, mvcc.Options{Clock: clk}))
}

// TestClockSteps has the wall clock step back: leases live longer, nothing is stuck, and time never goes back in a record.
func TestClockSteps(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, &mvcc.MemLog{}, mvcc.Options{Clock: clk})
	grant(t, s, 1, 100)
	do(t, s, leased("/l", 1))
	clk.SetTime(time.Unix(1_600_000_000, 0))
	do(t, s, put("/a", "1"))
	if _, err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.KeepAlive(t.Context(), 1); err != nil {
		t.Errorf("keep alive: %v", err)
	}
	if left := remaining(t, s, 1); left != 100 {
		t.Errorf("%d s left after a step back and a keep-alive, want 100", left)
	}
	clk.SetTime(time.Unix(1_800_000_000, 0))
	until(t, "expiry", func() bool {
		clk.Step(time.Millisecond)
		_, err := s.Lease(1, false)
		return errors.Is(err, mvcc.ErrLeaseNotFound)
	})
	if _, err := s.KeepAlive(t.Context(), 1); !errors.Is(err, mvcc.ErrLeaseNotFound) {
		t.Errorf("kept alive after its end: %v", err)
	}
}

// TestKeepAliveWaits keeps alive a lease that has expired and is not revoked yet: the answer comes when its keys are gone.
func TestKeepAliveWaits(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, &mvcc.MemLog{}, mvcc.Options{Clock: clk})
	for i := range 50 {
		id := mvcc.LeaseID(i + 1)
		grant(t, s, id, 10)
		do(t, s, leased(fmt.Sprintf("/l%d", i), id))
		clk.Step(10 * time.Second)
		if _, err := s.KeepAlive(t.Context(), id); !errors.Is(err, mvcc.ErrLeaseNotFound) {
			t.Fatalf("kept alive after its time: %v", err)
		}
		if have := get(t, s, fmt.Sprintf("/l%d", i), 0); have != "" {
			t.Fatalf("lease %d is gone, its key is not: %q", id, have)
		}
	}
}

// TestManyKeysOneRevision expires a lease of 10,000 keys.
func TestManyKeysOneRevision(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, &mvcc.MemLog{}, mvcc.Options{Clock: clk})
	grant(t, s, 1, 10)
	const keys = 10_000
	var txn mvcc.Txn
	for i := range keys {
		txn.Then = append(txn.Then, mvcc.Op{Put: &mvcc.Put{Key: fmt.Sprintf("/k/%05d", i), Value: []byte("1"), Lease: 1}})
	}
	rev := do(t, s, txn)
	w := watch(t, s, mvcc.WatchRequest{Key: "/k/", End: "/k0"})
	expire(t, s, clk, 10*time.Second, 1)
	r := next(t, w)
	if len(r.Events) != keys || s.Revision() != rev+1 {
		t.Errorf("%d deletions in one response, revision %d; want %d, %d", len(r.Events), s.Revision(), keys, rev+1)
	}
	for i, ev := range r.Events {
		if ev.KV.Key != fmt.Sprintf("/k/%05d", i) || ev.KV.ModRevision != rev+1 {
			t.Fatalf("deletion %d is of %s at %d", i, ev.KV.Key, ev.KV.ModRevision)
		}
	}
}

// BenchmarkLeases has 100,000 leases with a key each: what one takes in memory, and what a keep-alive costs among them.
func BenchmarkLeases(b *testing.B) {
	s, err := mvcc.Open(b.Context(), &mvcc.MemLog{}, mvcc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	const many = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	done := make(chan error)
	for w := range 100 {
		go func() {
			for i := w; i < many; i += 100 {
				if _, err := s.Grant(context.Background(), mvcc.LeaseID(i+1), 3600); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 100 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	granted := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := 0
	for b.Loop() {
		if _, err := s.KeepAlive(context.Background(), mvcc.LeaseID(n%many+1)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(granted.Nanoseconds())/many, "ns/grant")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/many, "B/lease")
}
