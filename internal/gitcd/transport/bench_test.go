// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// flat returns a repository with two commits, the second of which changes 10 of
// the files of one directory of 100,000.
func flat(b *testing.B) (m *memory, was, is gitobj.ID) {
	b.Helper()
	m = newMemory()
	files := map[string]string{}
	for i := range 100_000 {
		files[fmt.Sprintf("pods/pod-%06d", i)] = fmt.Sprint(i)
	}
	was = m.commit(m.tree(files), "was")
	for i := range 10 {
		files[fmt.Sprintf("pods/pod-%06d", 5+i*10_001)] = fmt.Sprint("changed ", i)
	}
	return m, was, m.commit(m.tree(files), "is", was)
}

// BenchmarkFlat sends and takes in a change of 10 keys of 100,000 in one directory.
func BenchmarkFlat(b *testing.B) {
	m, was, is := flat(b)
	items, err := Missing(b.Context(), m, []gitobj.ID{is}, []gitobj.ID{was})
	if err != nil {
		b.Fatal(err)
	}
	var packed bytes.Buffer
	if err := writePack(b.Context(), &packed, m, items); err != nil {
		b.Fatal(err)
	}
	there := newMemory()
	maps.Copy(there.objects, m.objects)
	for _, it := range items {
		delete(there.objects, it.ID)
	}
	came, err := readPack(b.Context(), bytes.NewReader(packed.Bytes()), there, Limits{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	for name, step := range map[string]func() error{
		"missing": func() error {
			_, err := Missing(b.Context(), m, []gitobj.ID{is}, []gitobj.ID{was})
			return err
		},
		"write": func() error { return writePack(b.Context(), &bytes.Buffer{}, m, items) },
		"read": func() error {
			_, err := readPack(b.Context(), bytes.NewReader(packed.Bytes()), there, Limits{}.withDefaults())
			return err
		},
		"complete": func() error {
			kept, err := Complete(b.Context(), there, came, []gitobj.ID{is})
			if len(kept) != len(items) {
				b.Fatalf("%d objects of %d are new", len(kept), len(items))
			}
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := step(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
