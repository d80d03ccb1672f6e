// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// How far, in percent, the heap may grow between two collections. A gitcd
// stands beside every component of every cluster, so a calm one trades a little
// CPU for memory. But a collection takes milliseconds, however little is held: there
// is gcSmall before the next one, and that is some dozens of changes that come from
// elsewhere. One that collects all the time gets gcRoom, and as much again
// as it holds, up to gcMost, until it is calm. GOGC in the environment overrules all of this.
const (
	gcCalm  = 60
	gcLeast = 30
	gcSmall = 6 << 20
	gcFew   = 200 // of 4 MiB, the runtime's least heap, at least
	gcRoom  = 24 << 20
	gcMost  = 30 << 20

	// gcBusy is how soon after the last one a collection says that the process is busy, gcRest after how long without
	// one it rests, and gives back what it took; it does so every gcAgain at most, unless it was busy.
	gcBusy  = 250 * time.Millisecond
	gcRest  = 2 * time.Second
	gcAgain = time.Minute
)

// collector sets after each collection how far the heap may grow until the next.
type collector struct {
	mu   sync.Mutex
	last time.Time
	set  int
	live []metrics.Sample

	rest   *time.Timer
	rested time.Time
}

func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := newCollector()
	c.use(gcCalm)
	c.arm()
}

func newCollector() *collector {
	c := &collector{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	c.rest = time.AfterFunc(time.Hour, c.giveBack)
	c.rest.Stop()
	return c
}

// giveBack collects, and returns to the system what is free.
func (c *collector) giveBack() {
	c.mu.Lock()
	c.rested = time.Now()
	c.mu.Unlock()
	debug.FreeOSMemory()
}

// arm has the next collection reported: it finds an object that nothing refers to.
func (c *collector) arm() {
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) {
		c.collected(time.Now())
		c.arm()
	})
}

func (c *collector) collected(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	busy := now.Sub(c.last) < gcBusy
	c.last = now
	if busy || now.Sub(c.rested) > gcAgain {
		c.rest.Reset(gcRest)
	}
	if busy {
		c.use(busyPercent(c.held()))
	} else {
		c.use(calmPercent(c.held()))
	}
}

func (c *collector) held() uint64 {
	metrics.Read(c.live)
	return max(c.live[0].Value.Uint64(), 1<<20)
}

// use sets a percentage. It stops the world for a moment: small differences are not worth it.
func (c *collector) use(percent int) {
	if percent > c.set+c.set/8 || percent < c.set-c.set/8 {
		debug.SetGCPercent(percent)
		c.set = percent
	}
}

func calmPercent(live uint64) int {
	return int(max(min(max(gcLeast, gcMost*100/live), gcCalm), min(gcSmall*100/live, gcFew)))
}

func busyPercent(live uint64) int {
	return int(min(max(gcLeast, min(gcRoom+live, gcMost)*100/live), 400))
}
