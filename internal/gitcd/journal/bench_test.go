// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"encoding/binary"
	"fmt"
	"os"
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

// BenchmarkOpen opens what a kill leaves of 200,000 values of 1 KiB in batches of 20, and reads the records.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	j := open(b, vfs.OS{}, dir+"/0", journal.Options{NoSync: true})
	const batches, batch = 10_000, 20
	value := make([]byte, 1024)
	f := journal.Frame{Record: make([]byte, batch*100), Objects: make([]pack.Object, batch)}
	for n := range uint64(batches) {
		for i := range f.Objects {
			binary.BigEndian.PutUint64(value, n)
			f.Objects[i] = pack.Object{Kind: gitobj.KindBlob, Data: value}
			binary.BigEndian.PutUint64(f.Objects[i].ID[:], (n*batch+uint64(i)+1)*0x9e3779b97f4a7c15)
		}
		appendOne(b, j, f, false)
	}
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		killed := fmt.Sprint(dir, "/", n)
		if err := os.CopyFS(killed, os.DirFS(dir+"/0")); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		j, err := journal.Open(b.Context(), vfs.OS{}, killed, journal.Options{})
		if err != nil {
			b.Fatal(err)
		}
		frames := 0
		if err := j.Records(func(uint64, []byte, []journal.RefUpdate) error { frames++; return nil }); err != nil || frames != batches {
			b.Fatal(frames, err)
		}
		b.StopTimer()
		closeJournal(b, j)
		if err := os.RemoveAll(killed); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkGet reads values of 1 KiB from a journal of 200 sealed segments.
func BenchmarkGet(b *testing.B) {
	j := open(b, vfs.OS{}, b.TempDir(), journal.Options{SegmentSize: 512 << 10, NoSync: true, PublishInterval: -1})
	const values = 200 * 450
	id := func(n int) (id gitobj.ID) {
		for i := 0; i < len(id); i += 4 {
			binary.BigEndian.PutUint32(id[i:], uint32(n*5+i+1)*0x9e3779b9)
		}
		return id
	}
	value := make([]byte, 1024)
	for n := range values {
		binary.BigEndian.PutUint64(value, uint64(n))
		appendOne(b, j, journal.Frame{Objects: []pack.Object{{Kind: gitobj.KindBlob, ID: id(n), Data: value}}}, false)
	}
	if err := j.Publish(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Run("there", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, _, err := j.Get(id(n * 7919 % values)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("not there", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if j.Has(id(values + n)) {
				b.Fatal("it has what was never written")
			}
		}
	})
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
