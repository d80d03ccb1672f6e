// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit_test

import (
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

func BenchmarkWriteOne(b *testing.B) {
	for name, size := range map[string][2]int{"100x100": {100, 100}, "1x100000": {1, 100_000}, "1000x100": {1000, 100}} {
		b.Run(name, func(b *testing.B) {
			m := newMemory()
			e := treeedit.New(m, m.build(b, wide(m, size[0], size[1])))
			for i := 0; b.Loop(); i++ {
				blob := gitobj.Hash(gitobj.KindBlob, []byte{byte(i), byte(i >> 8), byte(i >> 16)})
				if err := e.Set(b.Context(), "/registry/pods/ns-000/pod-00050", blob); err != nil {
					b.Fatal(err)
				}
				if _, err := e.Write(b.Context(), func(treeedit.Object) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDiffOne(b *testing.B) {
	for name, size := range map[string][2]int{"1x100000": {1, 100_000}, "1000x100": {1000, 100}} {
		b.Run(name, func(b *testing.B) {
			m := newMemory()
			keys := wide(m, size[0], size[1])
			x := m.build(b, keys)
			keys["/registry/pods/ns-000/pod-00050"] = m.put(gitobj.KindBlob, []byte("new"))
			y := m.build(b, keys)
			for b.Loop() {
				n := 0
				err := treeedit.Diff(b.Context(), m, x, y, func(string, gitobj.ID, gitobj.ID) error { n++; return nil })
				if err != nil || n != 1 {
					b.Fatal(n, err)
				}
			}
		})
	}
}
