// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// BenchmarkCreate creates keys of 1 KiB of JSON, on the disk of TMPDIR, each durable before its client goes on.
func BenchmarkCreate(b *testing.B) {
	value := []byte(`{"kind":"Pod","spec":{"text":"` + strings.Repeat("0123456789abcdef", 61) + `"}}`)
	for _, clients := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			dir, err := os.MkdirTemp("", "bench") //nolint:usetesting // b.TempDir's end is part of the time
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = os.RemoveAll(dir) }()
			r, err := branch.Open(b.Context(), vfs.OS{}, dir, journal.Options{}, mvcc.Options{Epoch: 1})
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			var group sync.WaitGroup
			b.ResetTimer()
			for range clients {
				group.Go(func() {
					for {
						n := int(next.Add(1))
						if n > b.N {
							return
						}
						key := fmt.Sprintf("/registry/pods/ns%d/%d", n%100, n)
						_, err := r.Store.Txn(context.Background(), mvcc.Txn{
							If:   []mvcc.Compare{{Key: key, Target: mvcc.CompareMod}},
							Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: value}}},
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
			began := time.Now()
			if err := r.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-close")
		})
	}
}
