// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import "slices"

// chunkEvents is how many events lie together.
const chunkEvents = 256

// window is the events since the last compaction, and a few from before it, in
// order. A copy of it stays readable while the original grows at its end and
// is cut at its front.
type window struct {
	first, next int // numbers of the first event, and of the one after the last
	chunks      []*[chunkEvents]event
}

func (w *window) add(ev event) {
	at := w.next - w.first
	if at == len(w.chunks)*chunkEvents {
		w.chunks = append(w.chunks, new([chunkEvents]event))
	}
	w.chunks[at/chunkEvents][at%chunkEvents] = ev
	w.next++
}

func (w *window) at(n int) *event {
	n -= w.first
	return &w.chunks[n/chunkEvents][n%chunkEvents]
}

// from returns the number of the first event at or after a revision.
func (w *window) from(rev int64) int {
	low, high := w.first, w.next
	for low < high {
		mid := int(uint(low+high) >> 1)
		if w.at(mid).after.mod < rev {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// cut drops chunks that have only events from before a revision.
func (w *window) cut(rev int64) {
	n := (w.from(rev) - w.first) / chunkEvents
	if n == 0 {
		return
	}
	w.chunks = slices.Clone(w.chunks[n:])
	w.first += n * chunkEvents
}
