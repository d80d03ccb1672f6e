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
	// gcLeast is how far, in percent, any heap may grow between two collections.
	// GOGC in the environment overrules all of this.
	gcLeast = 30
	// gcRoom is how far a small heap may grow: else a busy gitcd with little in it would collect all the time. It
	// gets as much again as it holds, up to gcMost: a gitcd stands beside every component of every cluster.
	gcRoom = 24 << 20
	gcMost = 48 << 20
)

// tuneGC sets after each collection how far the heap may grow until the next.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(100)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := 100
	var after func(*[16]byte)
	after = func(*[16]byte) {
		metrics.Read(live)
		percent := set
		if n := live[0].Value.Uint64(); n > 0 {
			percent = int(min(max(gcLeast, min(gcRoom+n, gcMost)*100/n), 400))
		}
		if percent > set+set/8 || percent < set-set/8 {
			debug.SetGCPercent(percent)
			set = percent
		}
		runtime.SetFinalizer(new([16]byte), after)
	}
	after(nil)
}
