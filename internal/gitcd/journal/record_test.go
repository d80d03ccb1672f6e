// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// TestRecordRoundTrip also tells no record from an empty one.
func TestRecordRoundTrip(t *testing.T) {
	frames := []Frame{
		{Record: []byte("record"), Refs: []RefUpdate{{Name: "refs/heads/main", Old: gitobj.ID{1}, New: gitobj.ID{2}}, {Name: "refs/x"}}},
		{},
		{Record: []byte{}},
	}
	lines := []line{{id: gitobj.ID{3}, kind: gitobj.KindTree, depth: 7, off: 8, base: 9}}
	h := head{chain: 1, nonce: 2, seq: 3, segment: 4, offset: 5, synced: 6, body: 7, bodySum: 8, objects: 1, frames: 3}
	b := appendRecord(nil, h, lines, appendFrames(nil, frames))
	r, err := parseRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	h.sum = r.sum
	if diff := cmp.Diff(h, r.head, cmp.AllowUnexported(head{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(lines, r.lines, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(frames, r.frames); diff != "" {
		t.Error(diff)
	}
	for i := range b {
		b[i] ^= 1
		if _, err := parseRecord(b); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
		b[i] ^= 1
		if _, err := parseRecord(b[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
	}
}

// FuzzRecord gives the parser any bytes, behind a magic and with a checksum that fits.
func FuzzRecord(f *testing.F) {
	f.Add(appendRecord(nil, head{frames: 1}, nil, appendFrames(nil, []Frame{{Record: []byte("x")}}))[chainAt:])
	f.Fuzz(func(t *testing.T, tail []byte) {
		b := binary.BigEndian.AppendUint32([]byte(recordMagic), crc32.Checksum(tail, castagnoli))
		if r, err := parseRecord(append(b, tail...)); err == nil && len(r.frames) != int(r.head.frames) {
			t.Error("frames are missing")
		}
	})
}
