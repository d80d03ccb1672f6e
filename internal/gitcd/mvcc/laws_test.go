// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc/logtest"
)

func TestMemLog(t *testing.T) {
	log := &mvcc.MemLog{}
	logtest.Run(t, func(*testing.T) mvcc.Log { return log })
}

// TestM1DurableFirst holds back the sync: nobody may see what it would cover.
func TestM1DurableFirst(t *testing.T) {
	g := &gate{Log: &mvcc.MemLog{}, waits: make(chan struct{}, 8)}
	s := open(t, g, mvcc.Options{})
	do(t, s, put("/a", "1"))
	w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0"})
	release := g.hold()

	var answers sync.WaitGroup
	var answered atomic.Int32
	results := make(chan string, 3)
	for i, txn := range []mvcc.Txn{
		put("/a", "2"),
		{If: []mvcc.Compare{{Key: "/a", Target: mvcc.CompareVersion, Number: 9}}, Then: []mvcc.Op{{Delete: &mvcc.Delete{Key: "/a"}}}, Else: []mvcc.Op{{Range: &mvcc.RangeRequest{Key: "/a"}}}},
		put("/b", "1"),
	} {
		answers.Go(func() {
			r, err := s.Txn(context.Background(), txn)
			answered.Add(1)
			results <- fmt.Sprint(r.Revision, err)
		})
		if i == 0 {
			<-g.waits // before it, a transaction that changes nothing could be answered at once
		}
	}
	quiet(t, w)
	if n := answered.Load(); n != 0 {
		t.Errorf("%d transactions are answered before the sync", n)
	}
	if have := get(t, s, "/a", 0); have != "1" || s.Revision() != 2 {
		t.Errorf("readers see %q at revision %d before the sync", have, s.Revision())
	}
	release()
	answers.Wait()
	if s.Revision() != 4 || get(t, s, "/a", 0) != "2" {
		t.Errorf("revision %d after the sync, want 4", s.Revision())
	}
	if r := next(t, w); len(r.Events) == 0 {
		t.Errorf("no events after the sync: %+v", r)
	}
}

// TestM2Revisions lets many write at once: each change has its own revision, and nothing else has one.
func TestM2Revisions(t *testing.T) {
	for name, log := range map[string]mvcc.Log{"log": &mvcc.MemLog{}, "memory": nil} {
		t.Run(name, func(t *testing.T) {
			s := open(t, log, mvcc.Options{})
			if s.Revision() != 1 {
				t.Fatalf("the first revision is %d", s.Revision())
			}
			const clients, rounds = 8, 50
			var seen sync.Map
			var group sync.WaitGroup
			for c := range clients {
				group.Go(func() {
					for i := range rounds {
						r, err := s.Txn(context.Background(), put(fmt.Sprintf("/%d/%d", c, i), "x"))
						if err != nil {
							t.Error(err)
							return
						}
						if _, twice := seen.LoadOrStore(r.Revision, true); twice {
							t.Errorf("revision %d twice", r.Revision)
						}
						if r, err = s.Txn(context.Background(), remove("/none")); err != nil || r.Results[0].Delete.Deleted != 0 {
							t.Errorf("delete of nothing: %+v, %v", r, err)
						}
					}
				})
			}
			group.Wait()
			if want := int64(1 + clients*rounds); s.Revision() != want {
				t.Errorf("revision %d, want %d", s.Revision(), want)
			}
		})
	}
}

// TestM3EventsFirst starts a watch at each revision that a reader sees: the events must be there.
func TestM3EventsFirst(t *testing.T) {
	s := open(t, &mvcc.MemLog{}, mvcc.Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			_, _ = s.Txn(context.Background(), put("/a", strconv.Itoa(i)))
		}
	}()
	for seen := int64(1); seen < 301; {
		rev := s.Revision()
		if rev == seen {
			continue
		}
		seen = rev
		w := watch(t, s, mvcc.WatchRequest{Key: "/a", Start: rev})
		r := next(t, w)
		if len(r.Events) == 0 || r.Events[0].KV.ModRevision != rev {
			t.Fatalf("a reader saw revision %d, a watch from there on sees %s", rev, brief(r))
		}
		w.Close()
		later := watch(t, s, mvcc.WatchRequest{Key: "/a", Start: rev + 1})
		later.RequestProgress()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if r, err := later.Next(ctx); err == nil && len(r.Events) > 0 && r.Events[0].KV.ModRevision != rev+1 {
			t.Fatalf("a watch from %d on sees %s", rev+1, brief(r))
		}
		cancel()
		later.Close()
	}
	<-done
}

// TestM4EveryChangeOnce lets slow and quick watchers follow busy writers, with
// compactions in between. A watcher that falls behind is told, and goes on from a read.
func TestM4EveryChangeOnce(t *testing.T) {
	s := open(t, &mvcc.MemLog{}, mvcc.Options{ValueBudget: 1 << 10})
	const keys, rounds = 4, 400
	var group sync.WaitGroup
	for k := range keys {
		group.Go(func() {
			for i := 1; i <= rounds; i++ {
				txn := put(fmt.Sprintf("/%d", k), strconv.Itoa(i))
				if i%7 == 0 {
					txn = mvcc.Txn{Then: append(txn.Then, mvcc.Op{Put: &mvcc.Put{Key: fmt.Sprintf("/%d+", k), Value: []byte(strconv.Itoa(i))}})}
				}
				if _, err := s.Txn(context.Background(), txn); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					_, _ = s.Compact(context.Background(), s.Revision()-20, false)
				}
			}
		})
	}
	var compactions atomic.Int32
	for slow := range 4 {
		group.Go(func() { follow(t, s, slow, keys, rounds, &compactions) })
	}
	group.Wait()
	t.Logf("%d times compacted", compactions.Load())
}

// follow checks that the counters of all keys go up by one each, from a read on.
func follow(t *testing.T, s *mvcc.Store, slow, keys, rounds int, compactions *atomic.Int32) {
	t.Helper()
	count := map[string]int{}
	done := func() bool {
		for k := range keys {
			if count[fmt.Sprintf("/%d", k)] != rounds {
				return false
			}
		}
		return true
	}
	for !done() {
		list, err := s.Range(context.Background(), mvcc.RangeRequest{Key: "/", End: "0"})
		if err != nil {
			t.Error(err)
			return
		}
		for _, kv := range list.KVs {
			count[kv.Key], _ = strconv.Atoi(string(kv.Value))
		}
		w := s.Watch()
		w.Create(mvcc.WatchRequest{Key: "/", End: "0", Start: list.Revision + 1, PrevKV: true})
		last := list.Revision
		for !done() {
			r, err := w.Next(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			if r.Canceled {
				compactions.Add(1)
				break
			}
			if len(r.Events) > 0 && r.Events[0].KV.ModRevision <= last {
				t.Errorf("revision %d in a response after %d", r.Events[0].KV.ModRevision, last)
			}
			for _, ev := range r.Events {
				n, _ := strconv.Atoi(string(ev.KV.Value))
				if len(ev.KV.Key) == 2 && n != count[ev.KV.Key]+1 {
					t.Errorf("%s is %d after %d", ev.KV.Key, n, count[ev.KV.Key])
				}
				if (ev.Prev == nil) != (ev.KV.Version == 1) && ev.KV.ModRevision > s.CompactRevision() {
					t.Errorf("%s version %d has previous state %v", ev.KV.Key, ev.KV.Version, ev.Prev)
				}
				if n%7 == 0 && len(ev.KV.Key) == 2 && r.Events[len(r.Events)-1].KV.ModRevision == ev.KV.ModRevision && r.Events[len(r.Events)-1].KV.Key == ev.KV.Key {
					t.Errorf("revision %d is torn", ev.KV.ModRevision)
				}
				count[ev.KV.Key], last = n, ev.KV.ModRevision
			}
			if slow > 1 {
				time.Sleep(time.Duration(slow) * time.Millisecond)
			}
		}
		w.Close()
	}
}

// TestM4Whole catches up with a large history: in parts, but no revision in two.
func TestM4Whole(t *testing.T) {
	s := open(t, &mvcc.MemLog{}, mvcc.Options{})
	var large mvcc.Txn
	for i := range 100 {
		large.Then = append(large.Then, mvcc.Op{Put: &mvcc.Put{Key: fmt.Sprintf("/large/%02d", i), Value: make([]byte, 20<<10)}})
	}
	do(t, s, put("/a", "1"), large, put("/a", "2"))
	for range 2500 {
		do(t, s, put("/b", "1"))
	}
	w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0", Start: 1})
	var parts []int
	for last := int64(1); last < s.Revision(); {
		r := next(t, w)
		first, end := r.Events[0].KV.ModRevision, r.Events[len(r.Events)-1].KV.ModRevision
		if first != last+1 || r.Revision != end {
			t.Fatalf("a response from %d to %d, said to be up to %d, follows %d", first, end, r.Revision, last)
		}
		parts, last = append(parts, len(r.Events)), end
	}
	if want := []int{101, 1000, 1000, 501}; !slices.Equal(parts, want) {
		t.Errorf("responses of %d events, want %d", parts, want)
	}
}

// TestM5Compaction reads and watches around a compaction.
func TestM5Compaction(t *testing.T) {
	for name, log := range map[string]mvcc.Log{"log": &mvcc.MemLog{}, "memory": nil} {
		t.Run(name, func(t *testing.T) {
			s := open(t, log, mvcc.Options{})
			do(t, s, put("/a", "2"), put("/a", "3"), put("/b", "4"), remove("/a"), put("/a", "6"), put("/b", "7"))
			if _, err := s.Compact(t.Context(), 8, false); !errors.Is(err, mvcc.ErrFutureRev) {
				t.Errorf("compacted the future: %v", err)
			}
			if _, err := s.Compact(t.Context(), 5, true); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Compact(t.Context(), 5, true); !errors.Is(err, mvcc.ErrCompacted) {
				t.Errorf("compacted twice: %v", err)
			}
			if _, err := s.Range(t.Context(), mvcc.RangeRequest{Key: "/a", Revision: 4}); !errors.Is(err, mvcc.ErrCompacted) {
				t.Errorf("read what is compacted: %v", err)
			}
			if have := get(t, s, "/a", 5) + get(t, s, "/b", 5) + get(t, s, "/a", 6) + get(t, s, "/b", 6); have != "464" {
				t.Errorf("read %q at and after the compacted revision", have)
			}
			w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0", Start: 5, PrevKV: true})
			r := next(t, w)
			if have := brief(r); have != "-/a@5 +/a@6 +/b@7 " {
				t.Errorf("watch from the compacted revision sees %s", have)
			}
			if r.Events[0].Prev != nil || string(r.Events[2].Prev.Value) != "4" {
				t.Errorf("previous states: %+v", r.Events)
			}
			late := s.Watch()
			defer late.Close()
			late.Create(mvcc.WatchRequest{ID: 3, Key: "/", End: "0", Start: 4})
			first, second := next(t, late), next(t, late)
			if !first.Created || first.Canceled || !second.Canceled || second.CompactRevision != 5 || second.ID != 3 {
				t.Errorf("watch before the compacted revision: %+v, then %+v", first, second)
			}
			late.Create(mvcc.WatchRequest{Key: "/", Start: -1})
			if r := next(t, late); !r.Created || !r.Canceled || r.ID != mvcc.NoWatch || !errors.Is(r.Err, mvcc.ErrCompacted) {
				t.Errorf("watch from a negative revision: %+v", r)
			}
		})
	}
}
