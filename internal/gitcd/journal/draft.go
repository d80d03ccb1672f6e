// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// draft is a batch on its way into a segment. Its memory is used again for the next one.
type draft struct {
	// data is the whole batch as it goes to the disk.
	data []byte
	// sum is the batch's checksum, which the next one carries.
	sum uint32
	// entries are the record and the objects, as the segment will have them.
	entries []entry

	// objects are those of the frames that the segment does not have, lines what the record says of them.
	objects []*Object
	lines   []line
	// here finds an object among objects.
	here map[gitobj.ID]int
	// frames are the encoded frames, content is the record.
	frames, content []byte
}

// keepDraft bounds the memory that is kept for the next batch.
const keepDraft = 1 << 20

// encode lays a batch out for its place in the segment. h lacks what follows
// from the frames. Each byte of a value is copied once, into data.
func (d *draft) encode(h head, frames []Frame, seg *segment) {
	d.reset()
	d.frames = appendFrames(d.frames, frames)
	d.collect(frames, seg)
	h.objects, h.frames = uint32(len(d.objects)), uint32(len(frames)) //nolint:gosec // bounded by maxBatch
	size := recordHeader + len(d.objects)*objectLine + len(d.frames)
	d.data = pack.AppendEntry(d.data, pack.Entry{Type: pack.Type(gitobj.KindBlob), Size: int64(size)})
	start := len(d.data)
	body := start + pack.StoredSize(size)
	d.data = slices.Grow(d.data, body-start)[:body] // the record goes here once it is known
	d.entries = append(d.entries, entry{off: h.offset, base: noBase})
	if whole := d.stored(); whole > keepDraft {
		d.data = slices.Grow(d.data, whole) // exactly, instead of by doubling
	}
	d.encodeObjects(int64(h.offset), body, seg)

	h.body, h.bodySum = uint32(len(d.data)-body), crc32.Checksum(d.data[body:], castagnoli) //nolint:gosec // bounded by maxBatch
	d.content = appendRecord(d.content, h, d.lines, d.frames)
	d.sum = binary.BigEndian.Uint32(d.content[sumAt:])
	pack.AppendStored(d.data[:start], d.content)
}

// release gives back what a draft of unusual size took.
func (d *draft) release() {
	clear(d.objects) // they point to values
	if cap(d.data)+cap(d.content)+cap(d.frames) > keepDraft {
		*d = draft{}
	}
}

func (d *draft) reset() {
	if d.here == nil {
		d.here = map[gitobj.ID]int{}
	}
	clear(d.here)
	d.data, d.frames, d.content = d.data[:0], d.frames[:0], d.content[:0]
	d.entries, d.objects, d.lines = d.entries[:0], d.objects[:0], d.lines[:0]
}

// stored returns at most how many bytes the objects' entries take.
func (d *draft) stored() int {
	n := 0
	for _, o := range d.objects {
		n += pack.MaxEntryHeader + pack.StoredSize(len(o.Data))
	}
	return n
}

// collect finds the frames' objects that the segment does not have, each once.
func (d *draft) collect(frames []Frame, seg *segment) {
	for _, f := range frames {
		for i := range f.Objects {
			o := &f.Objects[i]
			if _, ok := d.here[o.ID]; ok {
				continue
			}
			if _, ok := seg.lookup(o.ID); ok {
				continue
			}
			d.here[o.ID] = len(d.objects)
			d.objects = append(d.objects, o)
		}
	}
}

// encodeObjects appends the objects' entries to data, and their lines. The
// batch begins at offset of the segment, the objects at body of the data.
func (d *draft) encodeObjects(offset int64, body int, seg *segment) {
	for _, o := range d.objects {
		off := offset + int64(len(d.data))
		l := line{id: o.ID, kind: o.Kind, off: uint32(len(d.data) - body)} //nolint:gosec // bounded by maxBatch
		e := entry{id: o.ID, kind: o.Kind, off: uint32(off), base: noBase} //nolint:gosec // a segment is smaller than 4 GiB
		base, at, delta, ok := d.base(o, seg)
		if ok {
			l.base, l.depth = base.off, base.depth+1
			e.base, e.depth = at, base.depth+1
			d.data = pack.AppendEntry(d.data, pack.Entry{Type: pack.OfsDelta, Size: int64(len(delta)), Distance: off - int64(base.off)})
			d.data = pack.AppendStored(d.data, delta)
		} else {
			d.data = pack.AppendEntry(d.data, pack.Entry{Type: pack.Type(o.Kind), Size: int64(len(o.Data))})
			d.data = pack.AppendStored(d.data, o.Data)
			seg.kin.add(o, len(seg.entries)+len(d.entries), e.off)
		}
		d.entries, d.lines = append(d.entries, e), append(d.lines, l)
	}
}

// longestChain returns how many deltas there may be between an object of this size and a whole one.
func longestChain(size int) int { return min(max(size/deltaShare, leastDepth), mostDepth) }

// base returns the entry that an object is written as a delta of, its place, and
// the delta: in this segment, of the same kind, and not at the end of a long chain.
func (d *draft) base(o *Object, seg *segment) (entry, int32, []byte, bool) {
	if len(o.Delta) == 0 {
		delta, base, ok := seg.kin.deltaOf(o)
		return entry{kind: o.Kind, off: base.off}, base.at, delta, ok
	}
	var e entry
	at, ok := d.here[o.Base]
	switch {
	case ok:
		if at++; at >= len(d.entries) { // behind the record; and not yet there
			return entry{}, 0, nil, false
		}
		e = d.entries[at]
		at += len(seg.entries)
	default:
		if at, ok = seg.lookup(o.Base); !ok {
			return entry{}, 0, nil, false
		}
		e = seg.entries[at]
	}
	if e.kind != o.Kind || int(e.depth) >= longestChain(len(o.Data)) || len(o.Delta) >= len(o.Data) {
		return entry{}, 0, nil, false
	}
	return e, int32(at), o.Delta, true //nolint:gosec // a segment has fewer than 2G entries
}
