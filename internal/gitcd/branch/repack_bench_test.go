// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// renewal is a Lease as kube-apiserver stores it.
func renewal(node, n int) string {
	at := time.Unix(1_800_000_000, 0).UTC().Add(time.Duration(n) * time.Millisecond).Format("2006-01-02T15:04:05.000000Z")
	return fmt.Sprintf(`{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"node-%d","namespace":"kube-node-lease","uid":"%08x-7c5e-4b7c-9b1e-0123456789ab","creationTimestamp":"2026-11-22T00:00:00Z","ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-%d","uid":"%08x-1111-2222-3333-0123456789ab"}],"managedFields":[{"manager":"kubelet","operation":"Update","apiVersion":"coordination.k8s.io/v1","time":"%s","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:ownerReferences":{".":{},"k:{\"uid\":\"%08x-1111-2222-3333-0123456789ab\"}":{}}},"f:spec":{"f:holderIdentity":{},"f:leaseDurationSeconds":{},"f:renewTime":{}}}}]},"spec":{"holderIdentity":"node-%d","leaseDurationSeconds":40,"renewTime":"%s"}}`,
		node, node*7919, node, node*104729, at, node*104729, node, at)
}

func sizeOf(tb testing.TB, dir string) (total int64) {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "objects/pack/*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && !strings.Contains(name, "pack-67697463642d") {
			total += info.Size()
		}
	}
	return total
}

// BenchmarkHistory renews 2,000 leases over and over, then repacks: what is
// kept for each renewal, in bytes, and what that costs. With -benchtime 200000x it is a day of a large cluster.
func BenchmarkHistory(b *testing.B) {
	for _, prefix := range []string{"leases/kube-node-lease", "nodes"} { // of grain Batch, and of grain Full
		b.Run(filepath.Base(prefix), func(b *testing.B) {
			dir := b.TempDir()
			jo := journal.Options{Keep: branch.Keep, NoSync: true, RepackRate: -1}
			s, err := branch.Open(b.Context(), vfs.OS{}, dir, jo, mvcc.Options{Branch: "refs/heads/main", BatchInterval: time.Second})
			if err != nil {
				b.Fatal(err)
			}
			var writers sync.WaitGroup
			const clients = 16
			for c := range clients {
				writers.Go(func() {
					for n := c; n < b.N; n += clients {
						if _, err := s.Store.Txn(b.Context(), put(fmt.Sprintf("/registry/%s/node-%04d", prefix, n%2000), renewal(n%2000, n))); err != nil {
							b.Error(err)
							return
						}
						if n%20_000 == 19_999 { // as kube-apiserver does every five minutes
							if _, err := s.Store.Compact(b.Context(), s.Store.Revision(), false); err != nil {
								b.Error(err)
							}
						}
					}
				})
			}
			writers.Wait()
			if err := s.Store.Save(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := s.Journal.Publish(b.Context()); err != nil {
				b.Fatal(err)
			}
			before := sizeOf(b, dir)
			began := time.Now()
			got, err := s.Journal.Repack(b.Context(), journal.Repacking{All: true, Now: true})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(before)/float64(b.N), "sealed-B/op")
			b.ReportMetric(float64(sizeOf(b, dir))/float64(b.N), "repacked-B/op")
			b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(b.N), "repack-ns/op")
			b.Logf("%+v", got)
			if err := s.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkWriteWhileRepacking tells what a fold in the background, at the pace
// it has in production, does to the latency of durable writes.
func BenchmarkWriteWhileRepacking(b *testing.B) {
	for _, interval := range []time.Duration{0, 200 * time.Millisecond} {
		b.Run(fmt.Sprintf("every=%s", interval), func(b *testing.B) {
			jo := journal.Options{Keep: branch.Keep, SegmentSize: 2 << 20, RepackInterval: interval}
			s, err := branch.Open(b.Context(), vfs.OS{}, b.TempDir(), jo, mvcc.Options{Branch: "refs/heads/main", CheckpointBytes: 256 << 10})
			if err != nil {
				b.Fatal(err)
			}
			took := make([]time.Duration, b.N)
			var writers sync.WaitGroup
			const clients = 16
			for c := range clients {
				writers.Go(func() {
					for n := c; n < b.N; n += clients {
						began := time.Now()
						if _, err := s.Store.Txn(b.Context(), put(fmt.Sprintf("/registry/nodes/node-%04d", n%2000), renewal(n%2000, n))); err != nil {
							b.Error(err)
							return
						}
						took[n] = time.Since(began)
					}
				})
			}
			writers.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			h := s.Journal.History()
			b.ReportMetric(float64(h.Repacks), "repacks")
			b.Logf("%+v", h)
			if err := s.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
