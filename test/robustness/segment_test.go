// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// opLog is what a journal holds: the callers' records in their order, and all blobs by id.
type opLog struct {
	records [][]byte
	blobs   map[[20]byte][]byte

	// where the reader is
	sum   uint32 // of the last batch
	frame uint64 // number of the next frame
}

// The kinds of entries in a pack.
const kindBlob = 3

// readLog reads the segments in dir, from the first batch on, as docs/formats/journal.md describes them.
func readLog(dir string) (*opLog, error) {
	files, err := filepath.Glob(filepath.Join(dir, "seg-*.open"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no segment in %s", dir)
	}
	slices.Sort(files)
	l := &opLog{blobs: map[[20]byte][]byte{}, frame: 1}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if err := l.segment(data); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
	}
	return l, nil
}

// segment reads the batches of a segment, open or sealed.
func (l *opLog) segment(data []byte) error {
	if len(data) < 12 || string(data[:8]) != "PACK\x00\x00\x00\x02" {
		return errors.New("this is no pack of version 2")
	}
	end := len(data)
	if binary.BigEndian.Uint32(data[8:]) != 0 {
		end -= 20 // sealed: the trailer
	}
	for at := 12; at < end && data[at] != 0; {
		next, err := l.batch(data, at)
		if err != nil {
			return fmt.Errorf("offset %d: %w", at, err)
		}
		at = next
	}
	return nil
}

// batch reads the batch whose record's entry is at an offset, and returns where the next one is.
func (l *opLog) batch(data []byte, at int) (int, error) {
	kind, record, behind, err := entry(data, at)
	if err != nil {
		return 0, err
	}
	if kind != kindBlob || len(record) < 60 || string(record[:8]) != "gitcdj\x00\x01" {
		return 0, errors.New("there is no record of a batch")
	}
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(record[at:]) }
	table := crc32.MakeTable(crc32.Castagnoli)
	body := data[behind : behind+int(u32(44))]
	first := binary.BigEndian.Uint64(record[24:])
	switch {
	case crc32.Checksum(record[12:], table) != u32(8):
		return 0, errors.New("the record's checksum is wrong")
	case crc32.Checksum(body, table) != u32(48):
		return 0, errors.New("the entries' checksum is wrong")
	case u32(12) != l.sum || first != l.frame:
		return 0, fmt.Errorf("batch begins with frame %d after %08x; the one before says frame %d after %08x", first, u32(12), l.frame, l.sum)
	}
	l.sum, l.frame = u32(8), first+uint64(u32(56))
	rest := record[60:]
	for range u32(52) {
		if err := l.object(rest[:32], body); err != nil {
			return 0, err
		}
		rest = rest[32:]
	}
	for range u32(56) {
		if rest, err = l.oneFrame(rest); err != nil {
			return 0, err
		}
	}
	return behind + len(body), nil
}

// object keeps an object if it is a blob that stands for itself.
func (l *opLog) object(line, body []byte) error {
	if line[20] != kindBlob || binary.BigEndian.Uint32(line[28:]) != 0 {
		return nil
	}
	_, content, _, err := entry(body, int(binary.BigEndian.Uint32(line[24:])))
	l.blobs[[20]byte(line[:20])] = content
	return err
}

// oneFrame reads a frame and returns what is behind it.
func (l *opLog) oneFrame(b []byte) ([]byte, error) {
	uvarint := func() int {
		n, size := binary.Uvarint(b)
		b = b[max(size, 0):]
		return int(n)
	}
	if n := uvarint(); n > 0 {
		if n-1 > len(b) {
			return nil, errors.New("a frame is cut short")
		}
		l.records, b = append(l.records, b[:n-1]), b[n-1:]
	}
	for range uvarint() {
		name := uvarint()
		if name+40 > len(b) {
			return nil, errors.New("a ref is cut short")
		}
		b = b[name+40:]
	}
	return b, nil
}

// entry reads an entry of a pack that is no delta, and returns where the next one is.
func entry(data []byte, at int) (kind byte, content []byte, next int, err error) {
	kind = data[at] >> 4 & 7
	size, shift := int(data[at]&15), 4
	for data[at]&0x80 != 0 {
		at++
		size |= int(data[at]&0x7f) << shift
		shift += 7
	}
	stream := bytes.NewReader(data[at+1:])
	z, err := zlib.NewReader(stream)
	if err != nil {
		return 0, nil, 0, err
	}
	content, err = io.ReadAll(z)
	if err == nil && len(content) != size {
		err = fmt.Errorf("entry has %d bytes and announces %d", len(content), size)
	}
	return kind, content, len(data) - stream.Len(), err
}
