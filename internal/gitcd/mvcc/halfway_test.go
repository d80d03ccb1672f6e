// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"slices"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// stall is a log that lets nothing through while its channel is open.
type stall struct {
	mvcc.Log
	open chan struct{}
}

func (s *stall) Append(ctx context.Context, frames []mvcc.Frame, durable bool) (uint64, error) {
	<-s.open
	return s.Log.Append(ctx, frames, durable)
}

// TestM7Halfway crashes when a commit ends in the middle of a batch: what it has is not committed again.
func TestM7Halfway(t *testing.T) {
	log := &mvcc.MemLog{}
	st := &stall{Log: log, open: make(chan struct{})}
	close(st.open)
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0)) // commits take no time
	s := open(t, st, mvcc.Options{Branch: branch, Clock: clk})
	do(t, s, put("/registry/pods/d/first", "1"))
	settle(t, s)

	st.open = make(chan struct{})
	done := make(chan error, 3)
	for _, key := range []string{"/registry/pods/d/stalled", "/registry/pods/d/x", "/registry/leases/d/x"} {
		go func() {
			_, err := s.Txn(context.Background(), put(key, "1"))
			done <- err
		}()
		time.Sleep(20 * time.Millisecond) // one after the other; the last two wait together
	}
	close(st.open)
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	settle(t, s)
	want := []string{"create pods d/first", "create pods d/stalled", "create pods d/x"}
	if have := subjects(t, log, s.Head()); !slices.Equal(have, want) {
		t.Fatalf("committed %q, want %q", have, want)
	}

	again := open(t, log, mvcc.Options{Branch: branch})
	do(t, again, put("/registry/pods/d/y", "1"))
	want = append(want, "2 changes: create leases d/x, create pods d/y")
	if have := subjects(t, log, flush(t, again)); !slices.Equal(have, want) {
		t.Errorf("committed %q, want %q", have, want)
	}
}
