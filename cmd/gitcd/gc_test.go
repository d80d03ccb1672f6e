// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// TestHeapGrowth says how far heaps of some sizes may grow, calm and busy.
func TestHeapGrowth(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]struct{ calm, busy int }{
		2 << 20:   {200, 400}, // 4 and 8 MiB, or 6 and 14, since the runtime's least heap grows with the percentage
		4 << 20:   {150, 400}, // 6 and 16 MiB
		10 << 20:  {60, 300},  // 6 and 30 MiB
		40 << 20:  {60, 75},   // 24 and 30 MiB
		120 << 20: {30, 30},
		1 << 30:   {30, 30},
	} {
		if calm, busy := calmPercent(live), busyPercent(live); calm != want.calm || busy != want.busy {
			t.Errorf("%d MiB: %d %% calm and %d %% busy, want %d and %d", live>>20, calm, busy, want.calm, want.busy)
		}
	}
}

// TestRests shows that a process which stops to work gives back what it took.
func TestRests(t *testing.T) {
	const size = 64 << 20
	released := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = 1
	}
	held := released()
	runtime.KeepAlive(b)
	newCollector().collected(time.Now()) // as at a collection, which finds b garbage
	for end := time.Now().Add(time.Minute); released() < held+size*3/4; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d MB were given back, want %d", (released()-held)>>20, size>>20)
		}
	}
}
