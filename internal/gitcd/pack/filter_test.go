// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// TestFilter asks an index for what it has, all of which it finds, and for what it has not, which it mostly need not read.
func TestFilter(t *testing.T) {
	const n = 5000
	noise := rand.NewChaCha8([32]byte{3})
	entries := make([]pack.IndexEntry, n)
	for i := range entries {
		_, _ = noise.Read(entries[i].ID[:])
		entries[i].Offset = int64(i)
	}
	r := &countingReader{data: pack.AppendIndex(nil, slices.Clone(entries), gitobj.ID{})}
	x, err := pack.OpenIndex(r, int64(len(r.data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if off, found, err := x.Find(e.ID); err != nil || !found || off != e.Offset {
			t.Fatalf("%s is at %d, %v, %v", e.ID, off, found, err)
		}
	}
	r.reads = 0
	for range n {
		var id gitobj.ID
		_, _ = noise.Read(id[:])
		if _, found, err := x.Find(id); found || err != nil {
			t.Fatal(found, err)
		}
	}
	if r.reads > n/50 {
		t.Errorf("%d reads to find none of %d", r.reads, n)
	}
}

type countingReader struct {
	data  []byte
	reads int
}

func (r *countingReader) ReadAt(p []byte, off int64) (int, error) {
	r.reads++
	return bytes.NewReader(r.data).ReadAt(p, off)
}
