// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// TestM8SlowIsAlone has a watcher that never reads and a sync that hangs while others read.
func TestM8SlowIsAlone(t *testing.T) {
	g := &gate{Log: &mvcc.MemLog{}}
	s := open(t, g, mvcc.Options{})
	for range 10 {
		watch(t, s, mvcc.WatchRequest{Key: "/", End: "0"})
	}
	for i := range 2000 {
		do(t, s, put("/a", strconv.Itoa(i)))
	}
	release := g.hold()
	defer release()
	go func() { _, _ = s.Txn(context.Background(), put("/a", "held")) }()
	if have := get(t, s, "/a", 0); have != "1999" {
		t.Errorf("read %q", have)
	}
}

// TestM9FailedIsFinal breaks the log: what was there can be read, nothing else is promised.
func TestM9FailedIsFinal(t *testing.T) {
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{})
	do(t, s, put("/a", "1"))
	w := watch(t, s, mvcc.WatchRequest{Key: "/a"})
	broken := errors.New("input/output error")
	log.Fail(broken)
	for range 2 {
		if _, err := s.Txn(t.Context(), put("/a", "2")); !errors.Is(err, mvcc.ErrFailed) || !errors.Is(err, broken) {
			t.Errorf("put on a broken log: %v", err)
		}
		log.Fail(nil)
	}
	if err := s.Healthy(); !errors.Is(err, mvcc.ErrFailed) {
		t.Errorf("healthy: %v", err)
	}
	if have := get(t, s, "/a", 0); have != "1" {
		t.Errorf("read %q", have)
	}
	if _, err := w.Next(t.Context()); !errors.Is(err, mvcc.ErrFailed) {
		t.Errorf("watch on a broken log: %v", err)
	}
	if _, err := s.Flush(t.Context()); !errors.Is(err, mvcc.ErrFailed) {
		t.Errorf("flush: %v", err)
	}
	if _, err := s.Grant(t.Context(), 0, 10); !errors.Is(err, mvcc.ErrFailed) {
		t.Errorf("grant: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}
