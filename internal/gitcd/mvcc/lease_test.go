// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"errors"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

func leased(key string, id mvcc.LeaseID) mvcc.Txn {
	return mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: []byte("1"), Lease: id}}}}
}

func grant(t *testing.T, s *mvcc.Store, id mvcc.LeaseID, ttl int64) mvcc.Lease {
	t.Helper()
	l, err := s.Grant(t.Context(), id, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLeases walks through a lease's life.
func TestLeases(t *testing.T) {
	for name, log := range map[string]mvcc.Log{"log": &mvcc.MemLog{}, "memory": nil} {
		t.Run(name, func(t *testing.T) {
			clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
			s := open(t, log, mvcc.Options{Clock: clk})
			picked := grant(t, s, 0, 1)
			if picked.ID <= 0 || picked.Granted != 2 {
				t.Errorf("picked %+v; a lease lives at least 2 s", picked)
			}
			grant(t, s, 5, 15)
			grant(t, s, 6, 15)
			if _, err := s.Grant(t.Context(), 5, 15); !errors.Is(err, mvcc.ErrLeaseExists) {
				t.Errorf("granted twice: %v", err)
			}
			if _, err := s.Grant(t.Context(), 0, mvcc.MaxLeaseTTL+1); !errors.Is(err, mvcc.ErrLeaseTTLTooLarge) {
				t.Errorf("granted for ever: %v", err)
			}
			if _, err := s.Txn(t.Context(), leased("/x", 99)); !errors.Is(err, mvcc.ErrLeaseNotFound) {
				t.Errorf("put with an unknown lease: %v", err)
			}
			if rev := do(t, s, leased("/b", 5), leased("/a", 5), leased("/c", 6), leased("/d", 5), put("/d", "detached"), leased("/e", 5), leased("/e", 6)); rev != 8 {
				t.Errorf("revision %d; leases take none", rev)
			}
			w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0", PrevKV: true})
			expire(t, s, clk, 10*time.Second, picked.ID)
			if s.Revision() != 8 {
				t.Errorf("a lease without keys took revision %d", s.Revision())
			}
			if ttl, err := s.KeepAlive(t.Context(), 6); err != nil || ttl != 15 {
				t.Errorf("keep alive: %d, %v", ttl, err)
			}
			expire(t, s, clk, 5*time.Second, 5)
			if have := brief(next(t, w)); have != "-/a@9 -/b@9 " {
				t.Errorf("expiry: %s", have)
			}
			if _, err := s.KeepAlive(t.Context(), 5); !errors.Is(err, mvcc.ErrLeaseNotFound) {
				t.Errorf("kept alive after its end: %v", err)
			}
			l, err := s.Lease(6, true)
			if err != nil || l.Remaining != 10 || len(l.Keys) != 2 || len(s.Leases()) != 1 {
				t.Errorf("lease %+v, %v", l, err)
			}
			if rev, err := s.Revoke(t.Context(), 6); err != nil || rev != 10 {
				t.Errorf("revoked at %d, %v", rev, err)
			}
			if _, err := s.Revoke(t.Context(), 6); !errors.Is(err, mvcc.ErrLeaseNotFound) {
				t.Errorf("revoked twice: %v", err)
			}
			if have := brief(next(t, w)); have != "-/c@10 -/e@10 " {
				t.Errorf("revocation: %s", have)
			}
		})
	}
}

// expire steps the clock and waits until a lease is gone.
func expire(t *testing.T, s *mvcc.Store, clk *testclock.FakeClock, step time.Duration, id mvcc.LeaseID) {
	t.Helper()
	clk.Step(step)
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, err := s.Lease(id, false); errors.Is(err, mvcc.ErrLeaseNotFound) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("lease %d does not expire", id)
		}
		time.Sleep(time.Millisecond)
		clk.Step(0)
	}
}
