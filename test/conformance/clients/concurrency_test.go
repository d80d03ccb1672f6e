// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// TestMutex: one holder at a time, whoever asks; a holder whose lease ends holds no more.
func TestMutex(t *testing.T) {
	t.Parallel()
	s := start(t)
	var inside, entered atomic.Int32
	var group sync.WaitGroup
	for range 5 {
		m := concurrency.NewMutex(session(t, s.connect(t)), "/lock")
		group.Go(func() {
			for range 10 {
				if err := m.Lock(t.Context()); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				entered.Add(1)
				inside.Add(-1)
				if err := m.Unlock(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if entered.Load() != 50 {
		t.Fatalf("the lock was held %d times, not 50", entered.Load())
	}

	c := s.connect(t)
	first := session(t, c)
	must(t, concurrency.NewMutex(first, "/lock").Lock(t.Context()))
	second := concurrency.NewMutex(session(t, s.connect(t)), "/lock")
	if err := second.TryLock(t.Context()); !errors.Is(err, concurrency.ErrLocked) {
		t.Fatalf("TryLock says %v, not that it is locked", err)
	}
	_, err := c.Revoke(t.Context(), first.Lease())
	must(t, err)
	must(t, second.Lock(t.Context()))
}

// TestElection: leaders follow one another, and observers see each.
func TestElection(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	observed := concurrency.NewElection(session(t, s.connect(t)), "/election").Observe(ctx)
	one, two := concurrency.NewElection(session(t, s.connect(t)), "/election"), concurrency.NewElection(session(t, s.connect(t)), "/election")

	must(t, one.Campaign(ctx, "one"))
	elected := make(chan error, 1)
	go func() { elected <- two.Campaign(ctx, "two") }()
	leads := func(want string) {
		t.Helper()
		for r := within(t, "the leader "+want, observed); string(r.Kvs[0].Value) != want; {
			r = within(t, "the leader "+want, observed)
		}
	}
	leads("one")
	must(t, one.Proclaim(ctx, "one again"))
	leads("one again")
	select {
	case err := <-elected:
		t.Fatalf("two lead: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	must(t, one.Resign(ctx))
	must(t, within(t, "the second leader", elected))
	leads("two")
	if err := one.Proclaim(ctx, "not me"); !errors.Is(err, concurrency.ErrElectionNotLeader) {
		t.Fatalf("who resigned may proclaim: %v", err)
	}
	r, err := one.Leader(ctx)
	must(t, err)
	if string(r.Kvs[0].Value) != "two" {
		t.Fatalf("%s leads, not two", r.Kvs[0].Value)
	}
}

// TestSTM: transfers between accounts neither make nor lose money, at each level of isolation that promises it.
func TestSTM(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, level := range map[string]concurrency.Isolation{
		"serializable snapshot": concurrency.SerializableSnapshot, "serializable": concurrency.Serializable, "repeatable reads": concurrency.RepeatableReads,
	} {
		const accounts = 5
		account := func(n int) string { return name + "/" + strconv.Itoa(n) }
		c := s.connect(t)
		for n := range accounts {
			put(t, c, account(n), "100")
		}
		var group sync.WaitGroup
		for worker := range 6 {
			c := s.connect(t)
			group.Go(func() {
				for n := range 20 {
					from, to := account((worker+n)%accounts), account((worker*3+n*2+1)%accounts)
					if from != to {
						if err := transfer(t.Context(), c, level, from, to); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		group.Wait()
		sum := 0
		for n := range accounts {
			have, err := strconv.Atoi(value(t, c, account(n)))
			must(t, err)
			sum += have
		}
		if sum != accounts*100 {
			t.Errorf("%s: %d of %d are left", name, sum, accounts*100)
		}
	}
}

func transfer(ctx context.Context, c *clientv3.Client, level concurrency.Isolation, from, to string) error {
	_, err := concurrency.NewSTM(c, func(stm concurrency.STM) error {
		have, err := strconv.Atoi(stm.Get(from))
		if err != nil {
			return err
		}
		got, err := strconv.Atoi(stm.Get(to))
		if err != nil {
			return err
		}
		stm.Put(from, strconv.Itoa(have-have/3))
		stm.Put(to, strconv.Itoa(got+have/3))
		return nil
	}, concurrency.WithIsolation(level), concurrency.WithAbortContext(ctx))
	return err
}

// TestSessionEnds: a session whose lease is taken away says so; one whose server is killed and comes back goes on.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.connect(t)
	lasting, ending := session(t, c), session(t, c)
	s.kill(t)
	s.run(t)
	_, err := c.Put(t.Context(), "/held", "x", clientv3.WithLease(lasting.Lease()))
	must(t, err)
	_, err = c.Revoke(t.Context(), ending.Lease())
	must(t, err)
	select {
	case <-ending.Done():
	case <-time.After(patience):
		t.Fatal("the session does not say that its lease is gone")
	}
	select {
	case <-lasting.Done():
		t.Fatal("the session that nobody ended has ended")
	default:
	}
}
