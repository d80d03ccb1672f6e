// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// TestHeapGrowth says how far heaps of some sizes may grow, calm and busy.
func TestHeapGrowth(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]struct{ calm, busy int }{
		2 << 20:   {60, 400}, // 1.2 and 8 MiB
		10 << 20:  {60, 340}, // 6 and 34 MiB
		40 << 20:  {60, 90},  // 24 and 36 MiB
		120 << 20: {30, 30},
		1 << 30:   {30, 30},
	} {
		if calm, busy := calmPercent(live), busyPercent(live); calm != want.calm || busy != want.busy {
			t.Errorf("%d MiB: %d %% calm and %d %% busy, want %d and %d", live>>20, calm, busy, want.calm, want.busy)
		}
	}
}
