// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"runtime"
	"testing"
)

// TestTableIsSmall bounds what the table costs each gitcd.
func TestTableIsSmall(t *testing.T) {
	size := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := size()
	table := readTable(published)
	if grown := int64(size()) - int64(before); grown > 200<<10 {
		t.Errorf("the table takes %d bytes", grown)
	} else {
		t.Logf("%d kinds, %d types, %d bytes of text, %d bytes read", len(table.kinds), len(table.types), len(published), grown)
	}
	runtime.KeepAlive(table)
}

func BenchmarkReadTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		readTable(published)
	}
}

func BenchmarkLookup(b *testing.B) {
	typ := Type{APIVersion: "apps/v1", Kind: "Deployment"}
	p := Path{"spec", "template", "spec", "containers", Item, "ports"}
	b.ReportAllocs()
	for b.Loop() {
		if (Default{}).Lookup(typ, p).Shape != KeyedList {
			b.Fatal("not found")
		}
	}
}
