// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// gcPercent trades a little CPU for memory: a gitcd stands beside every
	// component of every cluster. GOGC in the environment overrules it.
	gcPercent = 60
	// gcRoom is what a small heap may grow between two collections, whatever the
	// percentage: else a busy gitcd with little in it would collect all the time.
	gcRoom = 24 << 20
)

// tuneGC sets after each collection how far the heap may grow until the next.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := gcPercent
	var after func(*[16]byte)
	after = func(*[16]byte) {
		metrics.Read(live)
		percent := gcPercent
		if n := live[0].Value.Uint64(); n > 0 {
			percent = max(percent, int(min(gcRoom*100/n, 400)))
		}
		if percent > set+set/8 || percent < set-set/8 {
			debug.SetGCPercent(percent)
			set = percent
		}
		runtime.SetFinalizer(new([16]byte), after)
	}
	after(nil)
}
