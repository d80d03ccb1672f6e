// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestFullDiskIsNoFailure fills the disk below a branch, and frees it again.
func TestFullDiskIsNoFailure(t *testing.T) {
	var full atomic.Bool
	disk := &vfs.Mem{}
	disk.SetHook(func(op vfs.Op) error {
		if full.Load() && op.Grows {
			return syscall.ENOSPC
		}
		return nil
	})
	b, err := branch.Open(t.Context(), disk, "/repo", journal.Options{}, mvcc.Options{CheckpointBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 1<<20)
	if _, err := b.Store.Txn(t.Context(), put("/a", "1")); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	for range 8 { // what was zero-filled ahead is used up
		_, err = b.Store.Txn(t.Context(), put("/b", big+time.Now().String()))
	}
	if !errors.Is(err, mvcc.ErrNoSpace) || b.Store.Healthy() != nil || b.Journal.Err() != nil && errors.Is(b.Journal.Err(), journal.ErrFailed) {
		t.Fatalf("put: %v, store: %v, journal: %v", err, b.Store.Healthy(), b.Journal.Err())
	}
	if _, err := b.Store.Range(t.Context(), mvcc.RangeRequest{Key: "/a"}); err != nil {
		t.Errorf("read: %v", err)
	}
	full.Store(false)
	if err := b.Store.SetAlarm(t.Context(), mvcc.AlarmNoSpace, false); err != nil {
		t.Fatal(err)
	}
	last, err := b.Store.Txn(t.Context(), put("/b", big))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err = branch.Open(t.Context(), disk, "/repo", journal.Options{}, mvcc.Options{})
	if err != nil || b.Store.Revision() != last.Revision || len(b.Store.Alarms()) != 0 {
		t.Fatalf("after a restart: %+v, %v", b, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
