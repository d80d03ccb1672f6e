// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// full is a disk without room, from the nth thing on that needs some.
func full(n int64) (hook func(vfs.Op) error, room func()) {
	var left atomic.Int64
	left.Store(n)
	var free atomic.Bool
	return func(op vfs.Op) error {
		needs := op.Grows
		if free.Load() || !needs || left.Add(-1) >= 0 {
			return nil
		}
		return &vfs.ShortError{N: op.Len / 2, Err: syscall.ENOSPC}
	}, func() { free.Store(true) }
}

// TestF1DiskFull fills the disk at each thing that needs room.
func TestF1DiskFull(t *testing.T) {
	t.Parallel()
	step := int64(1)
	if testing.Short() {
		step = 7
	}
	for n := int64(0); n < 60; n += step {
		r := start(t, &vfs.Mem{}, small(), storeOptions())
		acked := map[string]string{}
		lease, err := r.Grant(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		put := func(i int) error {
			key, value := fmt.Sprintf("/registry/pods/d/%d", i), fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 300))
			_, err := once(t, func(ctx context.Context) (*clientv3.PutResponse, error) { return r.Put(ctx, key, value) })
			if err == nil {
				acked[key] = value
			}
			return err
		}
		if err := put(0); err != nil {
			t.Fatal(err)
		}
		hook, room := full(n)
		r.disk.SetHook(hook)
		i := 1
		for ; ; i++ {
			err := put(i)
			if err == nil && i < 1000 {
				continue
			}
			if !errors.Is(err, rpctypes.ErrNoSpace) || err.Error() != "etcdserver: mvcc: database space exceeded" {
				t.Fatalf("full at %d, put %d: %v", n, i, err)
			}
			break
		}
		for key, value := range acked { // reads go on
			if have := r.get(t, key); have != value {
				t.Fatalf("full at %d: %s is %.40q", n, key, have)
			}
		}
		if _, err := r.KeepAliveOnce(t.Context(), lease.ID); err != nil {
			t.Fatalf("full at %d: keep alive: %v", n, err)
		}
		if err := put(i); !errors.Is(err, rpctypes.ErrNoSpace) {
			t.Fatalf("full at %d: %v", n, err)
		}
		crashed := r.disk.CrashClone(vfs.DropUnsynced, nil)
		room()
		if err := r.b.Store.Healthy(); err != nil {
			t.Fatalf("full at %d: %v", n, err)
		}
		disarm := func() {
			if _, err := r.AlarmDisarm(t.Context(), &clientv3.AlarmMember{Alarm: pb.AlarmType_NOSPACE}); err != nil {
				t.Fatalf("full at %d: end the alarm: %v", n, err)
			}
		}
		disarm()
		expect(t, crashed, acked)
		for k := range 5 { // writes go on
			err := put(i + k)
			if errors.Is(err, rpctypes.ErrNoSpace) && k < 2 { // somebody had met the full disk just before
				disarm()
				err = put(i + k)
			}
			if err != nil {
				t.Fatalf("full at %d, put %d after there is room: %v", n, i+k, err)
			}
		}
		if _, err := r.b.Store.Flush(t.Context()); err != nil {
			t.Fatalf("full at %d: flush: %v", n, err)
		}
		r.stop()
		if err := r.b.Close(t.Context()); err != nil {
			t.Fatalf("full at %d: close: %v", n, err)
		}
		r.disk.SetHook(nil)
		expect(t, r.disk.CrashClone(vfs.DropUnsynced, nil), acked)
	}
}

// TestF2FailedSync fails each sync in turn, from then on or once only.
func TestF2FailedSync(t *testing.T) {
	t.Parallel()
	for n := range 24 {
		r := start(t, &vfs.Mem{}, small(), storeOptions())
		acked := map[string]string{}
		var left atomic.Int64
		left.Store(int64(n / 2))
		r.disk.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.Contains(op.Name, ".open") {
				if now := left.Add(-1); now == -1 || now < 0 && n%2 == 0 {
					return syscall.EIO
				}
			}
			return nil
		})
		failed := 0
		for i := 0; failed < 3; i++ {
			key, value := fmt.Sprintf("/registry/pods/d/%d", i), fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 300))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			_, err := r.Put(ctx, key, value)
			cancel()
			switch {
			case err == nil && failed > 0:
				t.Fatalf("sync %d: a write was acknowledged after one had failed", n)
			case err == nil && i > 500:
				t.Fatalf("sync %d: none failed", n)
			case err == nil:
				acked[key] = value
			default:
				failed++
			}
		}
		select {
		case <-r.b.Store.Failed():
		default:
			t.Fatalf("sync %d: the store goes on", n)
		}
		if err := r.b.Store.Healthy(); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), ".open") || !strings.Contains(err.Error(), "restart gitcd") {
			t.Fatalf("sync %d: it says %v", n, err)
		}
		for key, value := range acked {
			if have := r.get(t, key); have != value {
				t.Fatalf("sync %d: %s is %.40q", n, key, have)
			}
		}
		for _, crash := range []vfs.Crash{vfs.Kill, vfs.DropUnsynced} {
			expect(t, r.disk.CrashClone(crash, nil), acked)
		}
	}
}

// TestF3ReadFails has the disk refuse reads for a while.
func TestF3ReadFails(t *testing.T) {
	t.Parallel()
	r := start(t, &vfs.Mem{}, small(), storeOptions())
	for i := range 60 {
		if _, err := r.Put(t.Context(), fmt.Sprintf("/k/%d", i), strings.Repeat(fmt.Sprint(i), 50)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.b.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	r.disk.SetHook(func(op vfs.Op) error {
		if broken.Load() && op.Kind == vfs.OpRead {
			return syscall.EIO
		}
		return nil
	})
	broken.Store(true)
	failed := 0
	for i := range 60 {
		have, err := once(t, func(ctx context.Context) (*clientv3.GetResponse, error) { return r.Get(ctx, fmt.Sprintf("/k/%d", i)) })
		switch {
		case err == nil && string(have.Kvs[0].Value) != strings.Repeat(fmt.Sprint(i), 50):
			t.Fatalf("a wrong value: %q", have.Kvs[0].Value)
		case err != nil && !strings.Contains(err.Error(), "input/output error"):
			t.Errorf("read: %v", err)
		case err != nil:
			failed++
		}
	}
	broken.Store(false)
	if failed == 0 {
		t.Error("no read failed: values come from memory")
	}
	for i := range 60 {
		if have := r.get(t, fmt.Sprintf("/k/%d", i)); have != strings.Repeat(fmt.Sprint(i), 50) {
			t.Fatalf("/k/%d is %q once the disk is back", i, have)
		}
	}
}

// TestF5SlowDisk has each sync take half a second: reads, watches and keep-alives do not wait for it.
func TestF5SlowDisk(t *testing.T) {
	t.Parallel()
	r := start(t, &vfs.Mem{}, small(), storeOptions())
	lease, err := r.Grant(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := r.Put(t.Context(), fmt.Sprintf("/k/%d", i), strings.Repeat("v", 100)); err != nil {
			t.Fatal(err)
		}
	}
	r.disk.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			time.Sleep(500 * time.Millisecond)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var writers sync.WaitGroup
	var written atomic.Int64
	for w := range 8 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if _, err := r.Put(ctx, fmt.Sprintf("/w/%d", w), strings.Repeat("w", 500)); err == nil {
					written.Add(1)
				}
			}
		})
	}
	var took []time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := r.Get(t.Context(), "/k/", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.KeepAliveOnce(t.Context(), lease.ID); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	writers.Wait()
	slices.Sort(took)
	if median := took[len(took)/2]; median > 200*time.Millisecond || written.Load() == 0 {
		t.Errorf("of %d reads half took more than %v; %d writes", len(took), median, written.Load())
	}
}
