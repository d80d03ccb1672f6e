// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

func openInside(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), &MemLog{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func putInside(t *testing.T, s *Store, key, value string) {
	t.Helper()
	if _, err := s.Txn(t.Context(), Txn{Then: []Op{{Put: &Put{Key: key, Value: []byte(value)}}}}); err != nil {
		t.Fatal(err)
	}
}

// TestM3Handover looks at the hub at the moment when a revision becomes readable.
func TestM3Handover(t *testing.T) {
	h := &watchHub{}
	times := 0
	h.publish([]event{{key: "/a", after: &version{mod: 2}}}, 2, 0, func() {
		times++
		if h.mu.rev != 2 || h.mu.next != 1 || h.mu.TryLock() {
			t.Errorf("readable while the hub is at revision %d, with %d events", h.mu.rev, h.mu.next)
		}
	})
	if times != 1 {
		t.Errorf("made readable %d times", times)
	}
}

// TestM5Overtaken has a compaction overtake a read: the read fails rather than miss something.
func TestM5Overtaken(t *testing.T) {
	s := openInside(t, Options{})
	for i := range 5 {
		putInside(t, s, "/a", fmt.Sprint(i))
	}
	begun := *s.current.Load()
	if _, err := s.Compact(t.Context(), 5, true); err != nil {
		t.Fatal(err)
	}
	if keys, _, err := s.collect(t.Context(), begun, RangeRequest{Key: "/a", Revision: 3}); !errors.Is(err, ErrCompacted) {
		t.Errorf("a read that was overtaken: %v, %v", keys, err)
	}
	if keys, _, err := s.collect(t.Context(), begun, RangeRequest{Key: "/a", Revision: 5}); err != nil || len(keys) != 1 {
		t.Errorf("a read at the compacted revision: %v, %v", keys, err)
	}
}

// TestTrim frees what a compaction makes unreachable.
func TestTrim(t *testing.T) {
	s := openInside(t, Options{})
	for i := range 1000 {
		key := fmt.Sprintf("/%d", i)
		putInside(t, s, key, "1")
		putInside(t, s, "/a", "1")
		if _, err := s.Txn(t.Context(), Txn{Then: []Op{{Delete: &Delete{Key: key}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Compact(t.Context(), s.Revision(), true); err != nil {
		t.Fatal(err)
	}
	putInside(t, s, "/a", "2")
	v := s.current.Load()
	if n := v.dead.Len(); n != 0 {
		t.Errorf("%d deleted keys are kept", n)
	}
	depth := 0
	for ver := v.get("/a"); ver != nil; ver = ver.prev.Load() {
		depth++
	}
	held := s.hub.held()
	if depth != 2 || len(held.chunks) > 1 {
		t.Errorf("%d states and %d chunks of events are kept", depth, len(held.chunks))
	}
}

// TestValueBudget keeps few values in memory, and reads the others again.
func TestValueBudget(t *testing.T) {
	const budget = 64 << 10
	s := openInside(t, Options{ValueBudget: budget})
	for i := range 1000 {
		putInside(t, s, fmt.Sprintf("/%03d", i), fmt.Sprintf(`{"n":%d,"pad":"%01000d"}`, i, 0))
	}
	for range 2 {
		r, err := s.Range(t.Context(), RangeRequest{Key: "/", End: "0"})
		if err != nil {
			t.Fatal(err)
		}
		for i, kv := range r.KVs {
			if want := fmt.Sprintf(`{"n":%d,"pad":"%01000d"}`, i, 0); string(kv.Value) != want {
				t.Fatalf("%s is %.20s, want %.20s", kv.Key, kv.Value, want)
			}
		}
		held := 0
		s.current.Load().live.Scan(func(it item) bool {
			if in := it.head.value.Load(); in != nil {
				held += len(in.bytes)
			}
			return true
		})
		if held > budget || held < budget/4 {
			t.Errorf("%d bytes of values are held, the budget is %d", held, budget)
		}
	}
}

// TestExpiredStaysSo keeps a lease alive between its expiry and its revocation.
func TestExpiredStaysSo(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	l := newLeases(clk)
	l.grant(1, 10)
	l.grant(2, 10)
	clk.Step(9 * time.Second)
	if _, err := l.keepAlive(2, false); err != nil {
		t.Error(err)
	}
	clk.Step(time.Second)
	if _, err := l.keepAlive(1, true); !errors.Is(err, errOver) {
		t.Errorf("kept alive after its time: %v", err)
	}
	ids, next := l.expired(clk.Now())
	if len(ids) != 1 || ids[0] != 1 {
		t.Errorf("expired: %v", ids)
	}
	if want := clk.Now().Add(9 * time.Second); !next.Equal(want) {
		t.Errorf("the next expires at %s, want %s", next, want)
	}
}

// TestPace says how many commits a batch gets by what they cost and how long ago the last one was.
func TestPace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for what, c := range map[string]struct {
		backlog int64
		cost    time.Duration
		since   time.Duration
		want    string
	}{
		"costs nothing":        {0, 0, 0, "111"},
		"time for all":         {0, time.Millisecond, time.Second, "111"},
		"time for one":         {0, time.Millisecond, (pace + 1) * time.Millisecond, "001"},
		"time for none":        {0, time.Millisecond, (pace - 1) * time.Millisecond, "000"},
		"a little behind":      {lagOne, 0, time.Second, "001"},
		"far behind":           {lagMany, 0, time.Second, "000"},
		"far behind, not dear": {lagMany, time.Microsecond, time.Hour, "000"},
	} {
		s := &Store{}
		s.committer = &committer{}
		s.committer.backlog.Store(c.backlog)
		s.committer.cost.Store(int64(c.cost))
		l := &line{store: s, lastCommit: now.Add(-c.since)}
		b := &batch{}
		b.record.txns = make([]txnRecord, 3)
		l.commits(b, now)
		have := ""
		for i := range b.record.txns {
			have += fmt.Sprint(int(b.record.txns[i].flags & endsCommit))
		}
		if have != c.want {
			t.Errorf("%s: %s, want %s", what, have, c.want)
		}
	}
	for cost, want := range map[time.Duration]time.Duration{
		0: fullInterval, 5 * time.Millisecond: 5 * pace * time.Millisecond, time.Second: longInterval,
	} {
		l := &line{store: &Store{committer: &committer{}}}
		l.store.committer.cost.Store(int64(cost))
		if have := l.patience(); have != want {
			t.Errorf("a change waits %s where a commit takes %s, want %s", have, cost, want)
		}
	}
	l := &line{store: &Store{committer: &committer{}}, open: uncommitted{txns: maxOpen}}
	l.store.committer.backlog.Store(lagMany)
	b := &batch{}
	b.record.txns = make([]txnRecord, 1)
	if l.commits(b, now); b.record.txns[0].flags&endsCommit == 0 {
		t.Error("a commit grows without bound")
	}
}
