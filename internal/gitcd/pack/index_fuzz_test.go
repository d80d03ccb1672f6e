// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// FuzzIndex reads any index beside any pack: what is found has the id that was asked for, or is an error.
func FuzzIndex(f *testing.F) {
	var buf bytes.Buffer
	w := pack.NewWriter(&buf, 2)
	var entries []pack.IndexEntry
	for _, text := range []string{"one", "two"} {
		entries = append(entries, pack.IndexEntry{ID: gitobj.Hash(gitobj.KindBlob, []byte(text)), Offset: int64(buf.Len())})
		if err := w.WriteObject(gitobj.KindBlob, []byte(text)); err != nil {
			f.Fatal(err)
		}
	}
	trailer, err := w.Close()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pack.AppendIndex(nil, entries, trailer), buf.Bytes())
	f.Fuzz(func(t *testing.T, index, data []byte) {
		x, err := pack.OpenIndex(bytes.NewReader(index), int64(len(index)))
		if err != nil {
			return
		}
		_, sound := x.Verify()
		all, err := x.Entries()
		if err != nil {
			if sound == nil {
				t.Fatalf("an index is sound, and cannot be read: %v", err)
			}
			return
		}
		p, err := pack.OpenFile(bytes.NewReader(data), int64(len(data)), x)
		if err != nil {
			return
		}
		for i, e := range all {
			if i == 100 {
				return
			}
			if _, _, err := p.At(e.Offset); err != nil {
				continue
			}
			if _, _, _, err := p.Get(e.ID); err != nil {
				continue
			}
			if _, _, err := x.Find(e.ID); err != nil && sound == nil {
				t.Fatalf("%s: %v", e.ID, err)
			}
		}
	})
}
