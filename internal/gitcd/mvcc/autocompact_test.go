// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// until waits, stepping the clock by nothing, for something that another goroutine does.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// step moves the clock once all timers are set that it is to meet.
func step(t *testing.T, clk *testclock.FakeClock, d time.Duration) {
	t.Helper()
	until(t, "a timer", func() bool { return clk.Waiters() >= 2 }) // the line's, and the one meant
	clk.Step(d)
	time.Sleep(5 * time.Millisecond)
}

// TestAutoCompactByRevision keeps the last ones.
func TestAutoCompactByRevision(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, &mvcc.MemLog{}, mvcc.Options{Clock: clk, AutoCompact: mvcc.AutoCompact{Mode: mvcc.CompactByRevision, Revisions: 10}})
	for i := range 20 {
		do(t, s, put("/a", strconv.Itoa(i)))
	}
	step(t, clk, 5*time.Minute)
	until(t, "compaction", func() bool { return s.CompactRevision() == 11 })
}

// TestAutoCompactPeriodic keeps what is younger than the retention.
func TestAutoCompactPeriodic(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, &mvcc.MemLog{}, mvcc.Options{Clock: clk, AutoCompact: mvcc.AutoCompact{Mode: mvcc.CompactPeriodic, Retention: 10 * time.Minute}})
	for i := range 30 {
		do(t, s, put("/a", strconv.Itoa(i)))
		step(t, clk, time.Minute)
		if young := int64(i + 2 - 9); s.CompactRevision() > max(young, 0) {
			t.Fatalf("after %d minutes %d is compacted", i, s.CompactRevision())
		}
	}
	until(t, "compaction", func() bool { return s.CompactRevision() >= 12 })
}

// TestParseAutoCompact reads what etcd's flags say.
func TestParseAutoCompact(t *testing.T) {
	for _, c := range []struct {
		mode, retention string
		want            mvcc.AutoCompact
	}{
		{"periodic", "0", mvcc.AutoCompact{}},
		{"", "", mvcc.AutoCompact{}},
		{"periodic", "1", mvcc.AutoCompact{Mode: mvcc.CompactPeriodic, Retention: time.Hour}},
		{"periodic", "30m", mvcc.AutoCompact{Mode: mvcc.CompactPeriodic, Retention: 30 * time.Minute}},
		{"revision", "1000", mvcc.AutoCompact{Mode: mvcc.CompactByRevision, Revisions: 1000}},
	} {
		if have, err := mvcc.ParseAutoCompact(c.mode, c.retention); err != nil || have != c.want {
			t.Errorf("%s %s: %+v, %v", c.mode, c.retention, have, err)
		}
	}
	for _, bad := range [][2]string{{"revision", "1h"}, {"periodic", "x"}, {"weekly", "1"}, {"revision", "-1"}, {"periodic", "-1h"}} {
		if _, err := mvcc.ParseAutoCompact(bad[0], bad[1]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// TestHeldBytes follows what clients can read, over compactions and restarts.
func TestHeldBytes(t *testing.T) {
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{})
	if s.HeldBytes() != 0 {
		t.Errorf("nothing takes %d bytes", s.HeldBytes())
	}
	big := strings.Repeat("x", 1000)
	for range 10 {
		do(t, s, put("/a", big), put("/b", big), remove("/b"))
	}
	full := s.HeldBytes()
	if full < 20*1000 || full > 25*1000 {
		t.Errorf("20 values of 1000 bytes take %d", full)
	}
	for range 2 {
		if _, err := s.Compact(t.Context(), s.Revision(), true); err != nil {
			t.Fatal(err)
		}
		if held := s.HeldBytes(); held < 1000 || held > 1200 {
			t.Errorf("one value of 1000 bytes takes %d", held)
		}
		do(t, s, put("/a", big))
	}
	held := s.HeldBytes()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if have := open(t, log, mvcc.Options{}).HeldBytes(); have != held {
		t.Errorf("%d bytes after a restart, were %d", have, held)
	}
}
