// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// BenchmarkPropagation measures a write in one heaven until a watcher of
// another one sees it, through a hub on the same host, with disks in memory.
func BenchmarkPropagation(b *testing.B) {
	for _, n := range []int{2, 10, 100} {
		b.Run(fmt.Sprintf("heavens=%d", n), func(b *testing.B) { benchmarkPropagation(b, n) })
	}
}

func benchmarkPropagation(b *testing.B, n int) {
	b.Helper()
	h := startHub(b)
	heavens := []*heaven{newHeaven(b, h, "heavens/apiserver", "0").start(true)}
	heavens[0].put("/registry/a", "1")
	for i := 1; i < n; i++ {
		heavens = append(heavens, newHeaven(b, h, fmt.Sprintf("nodes/n%d", i), "x").start(false))
	}
	settled(b, h, heavens...)
	watch := heavens[1].store.Watch()
	watch.Create(mvcc.WatchRequest{Key: "/registry/bench/", End: "/registry/bench0"})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var took []time.Duration
	began := spent(b)
	b.ResetTimer()
	for i := range b.N {
		key := fmt.Sprintf("/registry/bench/%d", i)
		start := time.Now()
		heavens[0].put(key, "v")
		for seen := false; !seen; {
			r, err := watch.Next(ctx)
			if err != nil {
				b.Fatal(err)
			}
			for _, ev := range r.Events {
				seen = seen || ev.KV.Key == key
			}
		}
		took = append(took, time.Since(start))
	}
	b.StopTimer()
	b.ReportMetric(float64((spent(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	for _, v := range heavens {
		if err := v.halt(); err != nil {
			b.Error(err)
		}
	}
}

// spent returns the processor time of this process, which other processes on the machine do not change.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
