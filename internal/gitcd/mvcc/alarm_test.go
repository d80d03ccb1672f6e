// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

var errFull = fmt.Errorf("no space left on device: %w", mvcc.ErrNoSpace)

func wantAlarms(t *testing.T, s *mvcc.Store, want ...mvcc.Alarm) {
	t.Helper()
	if diff := gocmp.Diff(want, s.Alarms()); diff != "" {
		t.Errorf("alarms, -want +have:\n%s", diff)
	}
}

// TestM10FullIsNotFailed fills the disk: what does not fit is refused and leaves no trace, all else goes on.
func TestM10FullIsNotFailed(t *testing.T) {
	log := &mvcc.MemLog{}
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, log, mvcc.Options{Clock: clk})
	grant(t, s, 7, 100)
	do(t, s, put("/a", "1"), leased("/l", 7), put("/b", "1"))
	if _, err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0"})
	log.Fail(errFull)
	for what, err := range map[string]error{
		"put":    second(s.Txn(t.Context(), put("/a", "2"))),
		"delete": second(s.Txn(t.Context(), remove("/b"))),
		"grant":  second(s.Grant(t.Context(), 8, 10)),
		"revoke": second(s.Revoke(t.Context(), 7)),
		"commit": second(s.Compact(t.Context(), 3, false)),
	} {
		if !errors.Is(err, mvcc.ErrNoSpace) {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	wantAlarms(t, s, mvcc.AlarmNoSpace)
	if err := s.Healthy(); err != nil {
		t.Errorf("failed: %v", err)
	}
	if have := get(t, s, "/a", 0) + get(t, s, "/b", 0); have != "11" || s.Revision() != 4 || s.CompactRevision() != 0 {
		t.Errorf("read %s at %d, compacted %d", have, s.Revision(), s.CompactRevision())
	}
	if l, err := s.Lease(7, true); err != nil || len(l.Keys) != 1 {
		t.Errorf("lease %+v, %v", l, err)
	}
	if _, err := s.KeepAlive(t.Context(), 7); err != nil {
		t.Errorf("keep alive: %v", err)
	}

	log.Fail(nil)
	if _, err := s.Txn(t.Context(), put("/a", "2")); !errors.Is(err, mvcc.ErrNoSpace) {
		t.Errorf("put while the alarm is on: %v", err)
	}
	do(t, s, remove("/b"))
	if _, err := s.Compact(t.Context(), 4, true); err != nil {
		t.Errorf("compact while the alarm is on: %v", err)
	}
	if err := s.SetAlarm(t.Context(), mvcc.AlarmNoSpace, false); err != nil {
		t.Fatal(err)
	}
	wantAlarms(t, s)
	if rev := do(t, s, put("/a", "3")); rev != 6 {
		t.Errorf("revision %d, want 6", rev)
	}
	seen := ""
	for len(seen) < len("-/b@5 +/a@6 ") {
		seen += brief(next(t, w))
	}
	if seen != "-/b@5 +/a@6 " {
		t.Errorf("watch: %s", seen)
	}
	expire(t, s, clk, 200*time.Second, 7)
	until(t, "expiry at revision 7", func() bool { return s.Revision() == 7 })
}

func second[T any](_ T, err error) error { return err }

// TestAlarmsSurvive restarts a store whose alarms are on, from its records and from a checkpoint.
func TestAlarmsSurvive(t *testing.T) {
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{})
	do(t, s, put("/a", "1"))
	for _, a := range []mvcc.Alarm{mvcc.AlarmCorrupt, mvcc.AlarmNoSpace} {
		if err := s.SetAlarm(t.Context(), a, true); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		wantAlarms(t, s, mvcc.AlarmNoSpace, mvcc.AlarmCorrupt)
		if _, err := s.Txn(t.Context(), remove("/a")); !errors.Is(err, mvcc.ErrCorrupt) {
			t.Errorf("delete: %v", err)
		}
		if have := get(t, s, "/a", 0); have != "1" {
			t.Errorf("read %q", have)
		}
		if _, err := s.Flush(t.Context()); err != nil { // its committer is still at work on the log
			t.Fatal(err)
		}
		again := open(t, log, mvcc.Options{})
		wantAlarms(t, again, mvcc.AlarmNoSpace, mvcc.AlarmCorrupt)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = open(t, log, mvcc.Options{})
	}
}

// TestQuota raises the alarm before the bytes are written.
func TestQuota(t *testing.T) {
	size := int64(1000)
	s := open(t, &mvcc.MemLog{}, mvcc.Options{Quota: 2000, Size: func() int64 { return size }})
	do(t, s, put("/a", "1"))
	if _, err := s.Txn(t.Context(), put("/b", string(make([]byte, 800)))); !errors.Is(err, mvcc.ErrNoSpace) {
		t.Errorf("put beyond the quota: %v", err)
	}
	wantAlarms(t, s, mvcc.AlarmNoSpace)
	if _, err := s.Txn(t.Context(), put("/b", "1")); !errors.Is(err, mvcc.ErrNoSpace) {
		t.Errorf("put while the alarm is on: %v", err)
	}
	do(t, s, remove("/a"))
	if err := s.SetAlarm(t.Context(), mvcc.AlarmNoSpace, false); err != nil {
		t.Fatal(err)
	}
	do(t, s, put("/b", "1"))
	size = 1900
	if _, err := s.Grant(t.Context(), 0, 10); err == nil {
		do(t, s, remove("/b"))
	}
	if _, err := s.Txn(t.Context(), put("/c", "1")); !errors.Is(err, mvcc.ErrNoSpace) {
		t.Errorf("put beyond the quota: %v", err)
	}
}

// full has the disk fill up before a transaction, and become free again.
func (r *rig) full(t *rapid.T) {
	r.log.Fail(errFull)
	free := map[string]bool{}
	for _, key := range modelKeys {
		free[key] = true
	}
	txn := drawTxn(t, r.m, 0, free)
	before := r.store.Revision()
	have, err := r.store.Txn(r.ctx, txn)
	if r.store.Revision() != before || err == nil && have.Revision != before {
		t.Fatalf("revision %d on a full disk, was %d", r.store.Revision(), before)
	}
	r.log.Fail(nil)
	if _, err := r.store.Flush(r.ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.store.SetAlarm(r.ctx, mvcc.AlarmNoSpace, false); err != nil {
		t.Fatal(err)
	}
}

// rotten is a log that changes what it is given back.
type rotten struct {
	mvcc.Log
	on atomic.Bool
}

func (r *rotten) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	kind, data, err := r.Log.Get(id)
	if err == nil && kind == gitobj.KindBlob && r.on.Load() {
		data = append([]byte("x"), data...)
	}
	return kind, data, err
}

// TestInspect finds rot in the background, and stops changes, not reads.
func TestInspect(t *testing.T) {
	log := &rotten{Log: &mvcc.MemLog{}}
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := open(t, log, mvcc.Options{Clock: clk, InspectInterval: time.Hour, ValueBudget: 1})
	do(t, s, put("/a", "1"), put("/a", "2"))
	if err := s.Inspect(t.Context()); err != nil {
		t.Errorf("inspect a sound store: %v", err)
	}
	log.on.Store(true)
	until(t, "inspection", func() bool {
		clk.Step(10 * time.Minute)
		return len(s.Alarms()) > 0
	})
	wantAlarms(t, s, mvcc.AlarmCorrupt)
	if _, err := s.Txn(t.Context(), put("/b", "1")); !errors.Is(err, mvcc.ErrCorrupt) {
		t.Errorf("put: %v", err)
	}
	if err := s.Inspect(t.Context()); !errors.Is(err, mvcc.ErrCorrupt) || !strings.Contains(err.Error(), `"/a"`) {
		t.Errorf("inspect: %v", err)
	}
	if _, err := s.Range(t.Context(), mvcc.RangeRequest{Key: "/a", KeysOnly: true}); err != nil {
		t.Errorf("read: %v", err)
	}
}
