// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// BenchmarkAppendBatch is what a batch of 50 values of 1 KiB costs without the disk's part.
func BenchmarkAppendBatch(b *testing.B) {
	j := open(b, vfs.OS{}, b.TempDir(), journal.Options{NoSync: true, PublishInterval: -1})
	const batch = 50
	values := make([]byte, batch<<10)
	f := journal.Frame{Record: make([]byte, batch*100), Objects: make([]pack.Object, batch)}
	b.SetBytes(batch << 10)
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		for i := range f.Objects {
			o := &f.Objects[i]
			o.Kind, o.Data = gitobj.KindBlob, values[i<<10:(i+1)<<10]
			binary.BigEndian.PutUint64(o.Data, n)
			binary.BigEndian.PutUint64(o.ID[:], n*batch+uint64(i)+1) // ids are believed
		}
		if _, err := j.Append(b.Context(), []journal.Frame{f}, false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend is one durable value of 1 KiB with its record of 100 bytes, an append.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			j := open(b, vfs.OS{}, b.TempDir(), journal.Options{})
			var n atomic.Int64
			var wg sync.WaitGroup
			b.SetBytes(1024)
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for {
						i := n.Add(1)
						if i > int64(b.N) {
							return
						}
						value := make([]byte, 1024)
						binary.BigEndian.PutUint64(value, uint64(i))
						o := pack.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, value), Data: value}
						if _, err := j.Append(b.Context(), []journal.Frame{{Record: value[:100], Objects: []pack.Object{o}}}, true); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}
