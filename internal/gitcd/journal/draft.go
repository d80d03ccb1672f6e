// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"hash/crc32"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// draft is a batch on its way into a segment.
type draft struct {
	// data is the whole batch as it goes to the disk.
	data []byte
	// sum is the batch's checksum, which the next one carries.
	sum uint32
	// entries are the record and the objects, as the segment will have them.
	entries []entry
}

// encode lays a batch out for its place in the segment. h lacks what follows
// from frames and objects. known finds entries of the segment, as deltas' bases.
func encode(h head, frames []Frame, objects []*Object, seg *segment) draft {
	encoded := appendFrames(nil, frames)
	h.objects, h.frames = uint32(len(objects)), uint32(len(frames)) //nolint:gosec // bounded by maxBatch
	size := recordHeader + len(objects)*objectLine + len(encoded)
	var buf [pack.MaxEntryHeader]byte
	header := pack.AppendEntry(buf[:0], pack.Entry{Type: pack.Type(gitobj.KindBlob), Size: int64(size)})
	bodyOff := int64(h.offset) + int64(len(header)) + int64(pack.StoredSize(size))

	d := draft{entries: make([]entry, 1, len(objects)+1)}
	d.entries[0] = entry{off: h.offset, base: noBase}
	body, lines := d.encodeObjects(objects, bodyOff, seg)
	h.body, h.bodySum = uint32(len(body)), crc32.Checksum(body, castagnoli) //nolint:gosec // bounded by maxBatch
	content := appendRecord(make([]byte, 0, size), h, lines, encoded)
	d.sum = crc32.Checksum(content[chainAt:], castagnoli)
	d.data = make([]byte, 0, len(header)+pack.StoredSize(size)+len(body))
	d.data = append(d.data, header...)
	d.data = pack.AppendStored(d.data, content)
	d.data = append(d.data, body...)
	return d
}

// encodeObjects returns the objects' entries and their lines in the record.
func (d *draft) encodeObjects(objects []*Object, bodyOff int64, seg *segment) (body []byte, lines []line) {
	room := 0
	for _, o := range objects {
		room += pack.MaxEntryHeader + pack.StoredSize(len(o.Data))
	}
	body, lines = make([]byte, 0, room), make([]line, 0, len(objects))
	here := make(map[gitobj.ID]int, len(objects)) // id -> place in d.entries
	for _, o := range objects {
		off := bodyOff + int64(len(body))
		l := line{id: o.ID, kind: o.Kind, off: uint32(len(body))}          //nolint:gosec // bounded by maxBatch
		e := entry{id: o.ID, kind: o.Kind, off: uint32(off), base: noBase} //nolint:gosec // a segment is smaller than 4 GiB
		if base, at, ok := d.base(o, here, seg); ok && len(o.Delta) < len(o.Data) {
			l.base, l.depth = base.off, base.depth+1
			e.base, e.depth = at, base.depth+1
			body = pack.AppendEntry(body, pack.Entry{Type: pack.OfsDelta, Size: int64(len(o.Delta)), Distance: off - int64(base.off)})
			body = pack.AppendStored(body, o.Delta)
		} else {
			body = pack.AppendEntry(body, pack.Entry{Type: pack.Type(o.Kind), Size: int64(len(o.Data))})
			body = pack.AppendStored(body, o.Data)
		}
		here[o.ID] = len(d.entries)
		d.entries, lines = append(d.entries, e), append(lines, l)
	}
	return body, lines
}

// base returns the entry that an object can be a delta of: in this segment, of
// the same kind, and not at the end of a long chain.
func (d *draft) base(o *Object, here map[gitobj.ID]int, seg *segment) (entry, int32, bool) {
	if len(o.Delta) == 0 {
		return entry{}, 0, false
	}
	var e entry
	at, ok := here[o.Base]
	if ok {
		e = d.entries[at]
		at += len(seg.entries)
	} else if at, ok = seg.lookup(o.Base); ok {
		e = seg.entries[at]
	}
	if !ok || e.kind != o.Kind || e.depth >= maxDeltaDepth {
		return entry{}, 0, false
	}
	return e, int32(at), true //nolint:gosec // a segment has fewer than 2G entries
}
