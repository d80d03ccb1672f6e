// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// Object is an object to be written. Its id is believed: who makes or receives it has computed it.
type Object = pack.Object

// RefUpdate moves a ref from Old to New. A zero Old says that it must not
// exist, a zero New deletes it.
type RefUpdate struct {
	Name     string
	Old, New gitobj.ID
}

// Frame is a unit of what Append writes. Each part may be empty.
type Frame struct {
	// Record is opaque to the journal, which yields it again in Records.
	Record  []byte
	Objects []Object
	Refs    []RefUpdate
}

// Place says where a frame's record is. It stays valid until a checkpoint covers it.
type Place struct {
	// Seq is the frame's number. Numbers begin at 1 and have no gaps.
	Seq uint64
	// Segment and Offset locate the frame's batch.
	Segment, Offset uint32
}

// Options are the knobs of a journal. The zero value is good.
type Options struct {
	// NoSync leaves durability to the operating system. For tests and for disks that are memory.
	NoSync bool
	// SegmentSize is about how large a segment gets before it is sealed. Default 64 MiB.
	SegmentSize int64
	// PublishInterval is how long stock Git may lag behind a change; while writes pour in, behind the last one, or ten
	// times that. Default 500 ms; negative: only on Publish.
	PublishInterval time.Duration
	// Keep names what only the owner of the checkpoint needs. Without it, a journal that has a checkpoint is not repacked.
	Keep Keep
	// RepackInterval is how often sealed segments are looked at, to be folded in the background. Default: never.
	RepackInterval time.Duration
	// RepackRate bounds what that reads and writes, in bytes a second. Default 8 MiB; negative: no bound.
	RepackRate int64
	// Clock is for tests. Default: the real one.
	Clock clock.Clock
}

const (
	defaultSegmentSize = 64 << 20
	minSegmentSize     = 4 << 10
	maxSegmentSize     = 1 << 30
	defaultPublish     = 500 * time.Millisecond
	// maxBatch bounds one Append. Offsets in a segment are 32 bits wide.
	maxBatch = 1 << 30
	// maxEntries bounds what a segment takes in memory.
	maxEntries = 128 << 10
	// leastDepth and mostDepth bound the chains of deltas, deltaShare tells between: whole objects take no more than
	// so many bytes for each delta. Git makes chains of 50, and reads any.
	leastDepth, mostDepth = 50, 250
	deltaShare            = 100
)

func (o Options) withDefaults() Options {
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	o.SegmentSize = min(max(o.SegmentSize, minSegmentSize), maxSegmentSize)
	if o.PublishInterval == 0 {
		o.PublishInterval = defaultPublish
	}
	if o.RepackRate == 0 {
		o.RepackRate = defaultRepackRate
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}
