// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

func put(key, value string) mvcc.Txn {
	return mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: []byte(value)}}}}
}

// TestF7AnyOrder closes store and journal in every order, twice, and under load with watchers open.
func TestF7AnyOrder(t *testing.T) {
	before := runtime.NumGoroutine()
	for n := range 60 {
		disk := &vfs.Mem{}
		b, err := branch.Open(t.Context(), disk, dir, small(), storeOptions())
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var mu sync.Mutex
		acked := map[string]string{}
		for w := range 4 {
			group.Go(func() {
				for i := range 1000 {
					key, value := fmt.Sprintf("/%d", w), fmt.Sprint(i)
					mu.Lock() // what is acknowledged is noted before the next is tried
					_, err := b.Store.Txn(context.Background(), put(key, value))
					if err == nil {
						acked[key] = value
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
			group.Go(func() {
				s := b.Store.Watch()
				defer s.Close()
				s.Create(mvcc.WatchRequest{Key: "/", End: "0"})
				for {
					if _, err := s.Next(context.Background()); err != nil {
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(n%6) * time.Millisecond)
		closers := []func(context.Context) error{b.Store.Close, b.Journal.Close, b.Store.Close, b.Journal.Close}
		if n%2 == 1 {
			closers[0], closers[1] = closers[1], closers[0]
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if n%3 == 2 {
				var all sync.WaitGroup
				for _, c := range closers {
					all.Go(func() { _ = c(context.Background()) })
				}
				all.Wait()
				return
			}
			for _, c := range closers {
				_ = c(context.Background())
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("order %d hangs", n)
		}
		group.Wait()
		expect(t, disk.CrashClone(vfs.DropUnsynced, nil), acked)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
		}
	}
}

// TestF6ClockSteps steps the clock back and forth by days: revisions and commit times only grow, and nothing stands still.
func TestF6ClockSteps(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	disk := &vfs.Mem{}
	o := storeOptions()
	o.Clock = clk
	var last int64
	lifetime := func(steps ...time.Duration) {
		b, err := branch.Open(t.Context(), disk, dir, journal.Options{PublishInterval: -1}, o)
		if err != nil {
			t.Fatal(err)
		}
		if b.Store.Revision() < last {
			t.Fatalf("revision %d after %d", b.Store.Revision(), last)
		}
		for i, step := range steps {
			clk.SetTime(clk.Now().Add(step))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			r, err := b.Store.Txn(ctx, put("/registry/pods/d/x", fmt.Sprint(i, last)))
			if err != nil || r.Revision != last+1 && last > 0 {
				t.Fatalf("step %v: revision %d after %d, %v", step, r.Revision, last, err)
			}
			last = r.Revision
			if _, err := b.Store.Flush(ctx); err != nil {
				t.Fatalf("step %v: flush: %v", step, err)
			}
			cancel()
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lifetime(time.Second, -24*time.Hour, time.Minute, 48*time.Hour, -time.Hour, time.Second)
	lifetime(-72*time.Hour, time.Second, time.Second)
	b, err := branch.Open(t.Context(), disk, dir, journal.Options{PublishInterval: -1}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(context.WithoutCancel(t.Context())) }()
	commits := 0
	for id, newer := b.Store.Head(), time.Unix(1<<40, 0); !id.IsZero(); commits++ {
		_, data, err := b.Journal.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		c, err := gitobj.DecodeCommit(data)
		if err != nil {
			t.Fatal(err)
		}
		if c.Committer.When.After(newer) {
			t.Errorf("commit %s is of %v, the one on it of %v", id, c.Committer.When, newer)
		}
		newer, id = c.Committer.When, gitobj.Zero
		if len(c.Parents) > 0 {
			id = c.Parents[0]
		}
	}
	if commits < 9 {
		t.Errorf("%d commits", commits)
	}
}

// TestF6LeasesRunOnMonotonicTime has a lease expire by what has passed, which no step of the wall clock changes:
// the times that the store compares carry the monotonic reading.
func TestF6LeasesRunOnMonotonicTime(t *testing.T) {
	t.Parallel()
	r := start(t, &vfs.Mem{}, small(), storeOptions())
	began := time.Now()
	lease, err := r.Grant(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	s := r.b.Store.Watch()
	defer s.Close()
	s.Create(mvcc.WatchRequest{Key: "/leased"})
	if _, err := r.b.Store.Txn(t.Context(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "/leased", Value: []byte("x"), Lease: mvcc.LeaseID(lease.ID)}}}}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range m.Events {
			if e.Type == mvcc.EventDelete {
				if took := time.Since(began); took < 2*time.Second || took > 6*time.Second {
					t.Errorf("a lease of 2 s has lived for %v", took)
				}
				return
			}
		}
	}
}
