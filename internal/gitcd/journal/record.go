// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// A record is, numbers big-endian,
//
//	 0   8  magic; its last byte is the version of the format
//	 8   4  CRC-32C of the record from byte 12 on: the batch's checksum
//	12   4  checksum of the batch before, 0 for the first
//	16   8  nonce of the segment
//	24   8  number of the batch's first frame
//	32   4  number of the segment
//	36   4  offset of the record's entry in the segment
//	40   4  offset below which the segment was durable when this was written
//	44   4  length of the entries behind the record
//	48   4  CRC-32C of these entries
//	52   4  number of objects
//	56   4  number of frames
//	60      objects, 32 bytes each: id 20, kind 1, depth of delta 1, 0 2,
//	        offset behind the record 4, offset in the segment of the delta's base or 0 4
//	        frames: uvarint length of the caller's record plus 1, or 0 for none; the caller's record;
//	        uvarint number of refs; each: uvarint length of the name, the name, old id, new id
//
// These numbers are on disk and never change.
const (
	recordMagic   = "gitcdj\x00\x01"
	recordHeader  = 60
	objectLine    = 32
	sumAt         = 8
	chainAt       = 12
	nonceAt       = 16
	seqAt         = 24
	segmentAt     = 32
	offsetAt      = 36
	syncedAt      = 40
	bodyAt        = 44
	bodySumAt     = 48
	objectCountAt = 52
	frameCountAt  = 56
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is the fixed part of a record.
type head struct {
	sum, chain      uint32
	nonce, seq      uint64
	segment, offset uint32
	synced          uint32
	body, bodySum   uint32
	objects, frames uint32
}

// line is one object of a record.
type line struct {
	id    gitobj.ID
	kind  gitobj.Kind
	depth uint8
	// off is the offset of the entry, counted from the end of the record's own.
	off uint32
	// base is the offset in the segment of the delta's base, 0 if the entry is whole.
	base uint32
}

// record is a batch's record, taken apart. Its frames have no objects: the lines are those of all.
type record struct {
	head
	lines  []line
	frames []Frame
}

var errNoRecord = errors.New("no record")

// appendRecord appends the encoded record. It computes the checksum. frames are encoded already.
func appendRecord(dst []byte, h head, lines []line, frames []byte) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, h.chain)
	dst = binary.BigEndian.AppendUint64(dst, h.nonce)
	dst = binary.BigEndian.AppendUint64(dst, h.seq)
	for _, v := range []uint32{h.segment, h.offset, h.synced, h.body, h.bodySum, h.objects, h.frames} {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	for _, l := range lines {
		dst = append(dst, l.id[:]...)
		dst = append(dst, byte(l.kind), l.depth, 0, 0)
		dst = binary.BigEndian.AppendUint32(dst, l.off)
		dst = binary.BigEndian.AppendUint32(dst, l.base)
	}
	dst = append(dst, frames...)
	binary.BigEndian.PutUint32(dst[start+sumAt:], crc32.Checksum(dst[start+chainAt:], castagnoli))
	return dst
}

// appendFrames appends the encoded frames, without their objects.
func appendFrames(dst []byte, frames []Frame) []byte {
	for _, f := range frames {
		dst = appendFrame(dst, f)
	}
	return dst
}

func appendFrame(dst []byte, f Frame) []byte {
	if f.Record == nil {
		dst = append(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(f.Record))+1)
		dst = append(dst, f.Record...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.Refs)))
	for _, r := range f.Refs {
		dst = binary.AppendUvarint(dst, uint64(len(r.Name)))
		dst = append(dst, r.Name...)
		dst = append(dst, r.Old[:]...)
		dst = append(dst, r.New[:]...)
	}
	return dst
}

// parseHead reads and checks the fixed part of a record, and the checksum of all of it.
func parseHead(b []byte) (head, error) {
	if len(b) < recordHeader || string(b[:sumAt]) != recordMagic {
		return head{}, errNoRecord
	}
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	h := head{
		sum: u32(sumAt), chain: u32(chainAt),
		nonce: binary.BigEndian.Uint64(b[nonceAt:]), seq: binary.BigEndian.Uint64(b[seqAt:]),
		segment: u32(segmentAt), offset: u32(offsetAt), synced: u32(syncedAt),
		body: u32(bodyAt), bodySum: u32(bodySumAt), objects: u32(objectCountAt), frames: u32(frameCountAt),
	}
	if crc32.Checksum(b[chainAt:], castagnoli) != h.sum {
		return head{}, fmt.Errorf("record's checksum is wrong: %w", errNoRecord)
	}
	return h, nil
}

// parseRecord reads a record. What it returns points into b.
func parseRecord(b []byte) (*record, error) {
	h, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	r := &record{head: h}
	rest := b[recordHeader:]
	if uint64(len(rest)) < uint64(h.objects)*objectLine || uint64(h.frames) > uint64(len(rest)) {
		return nil, fmt.Errorf("record's tables are cut short: %w", errNoRecord)
	}
	r.lines = make([]line, h.objects)
	for i := range r.lines {
		l := &r.lines[i]
		copy(l.id[:], rest)
		l.kind, l.depth = gitobj.Kind(rest[20]), rest[21]
		l.off, l.base = binary.BigEndian.Uint32(rest[24:]), binary.BigEndian.Uint32(rest[28:])
		rest = rest[objectLine:]
	}
	r.frames = make([]Frame, h.frames)
	for i := range r.frames {
		if rest, err = r.frames[i].parse(rest); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (f *Frame) parse(b []byte) ([]byte, error) {
	n, b, err := parseCount(b)
	if err != nil {
		return nil, err
	}
	if n > len(b)+1 {
		return nil, fmt.Errorf("record's frames are cut short: %w", errNoRecord)
	}
	if n > 0 {
		f.Record, b = b[:n-1:n-1], b[n-1:]
	}
	n, b, err = parseCount(b)
	if err != nil {
		return nil, err
	}
	for range n {
		var r RefUpdate
		var size int
		if size, b, err = parseCount(b); err != nil {
			return nil, err
		}
		if len(b) < size+2*gitobj.IDSize {
			return nil, fmt.Errorf("record's refs are cut short: %w", errNoRecord)
		}
		r.Name = string(b[:size])
		copy(r.Old[:], b[size:])
		copy(r.New[:], b[size+gitobj.IDSize:])
		b = b[size+2*gitobj.IDSize:]
		f.Refs = append(f.Refs, r)
	}
	return b, nil
}

// parseCount reads a number that is no larger than what is left of b, its own bytes included.
func parseCount(b []byte) (int, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return 0, nil, fmt.Errorf("record's frames are cut short: %w", errNoRecord)
	}
	return int(n), b[size:], nil //nolint:gosec // at most len(b)
}
