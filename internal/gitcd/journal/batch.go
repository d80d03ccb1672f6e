// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// batch is a record and where it lies.
type batch struct {
	record
	// off is where the record's entry begins, body where the objects' entries
	// do, end where the next batch does.
	off, bodyOff, end int64
}

// errTorn says that there is something, but not a whole batch.
var errTorn = errors.New("batch is not whole")

// readBatch reads the batch at off of a file of this size. It returns
// errNoRecord if there is nothing (zeros, or the end) and errTorn if what is
// there is no whole batch. With a buffer to read them into it checks the
// objects' entries too.
func readBatch(r io.ReaderAt, off, size int64, buf []byte) (*batch, error) {
	data, bodyOff, err := readRecord(r, off, size)
	if err != nil {
		return nil, err
	}
	rec, err := parseRecord(data)
	if err != nil {
		return nil, torn(err)
	}
	b := &batch{record: *rec, off: off, bodyOff: bodyOff, end: bodyOff + int64(rec.body)}
	if int64(rec.offset) != off {
		return nil, fmt.Errorf("record is from offset %d: %w", rec.offset, errTorn)
	}
	if b.end > size {
		return nil, fmt.Errorf("entries are cut short: %w", errTorn)
	}
	if buf == nil {
		return b, nil
	}
	sum := uint32(0)
	for at := bodyOff; at < b.end; at += int64(len(buf)) {
		buf = buf[:min(int64(cap(buf)), b.end-at)]
		if err := readAt(r, buf, at); err != nil {
			return nil, err
		}
		sum = crc32.Update(sum, castagnoli, buf)
	}
	if sum != rec.bodySum {
		return nil, fmt.Errorf("entries' checksum is wrong: %w", errTorn)
	}
	return b, nil
}

func torn(err error) error { return fmt.Errorf("%w: %w", err, errTorn) }

// readRecord reads the content of the record's entry at off, and returns where it ends.
func readRecord(r io.ReaderAt, off, size int64) ([]byte, int64, error) {
	buf := make([]byte, min(4096, max(size-off, 0)))
	if err := readAt(r, buf, off); err != nil {
		return nil, 0, err
	}
	if len(buf) == 0 || buf[0] == 0 {
		return nil, 0, errNoRecord
	}
	e, n, err := pack.ParseEntry(buf)
	if err != nil || e.Type != pack.Type(gitobj.KindBlob) {
		return nil, 0, fmt.Errorf("no entry of a record: %w", errTorn)
	}
	whole := int64(n) + int64(pack.StoredSize(int(min(e.Size, maxBatch))))
	if e.Size > maxBatch || off+whole > size {
		return nil, 0, fmt.Errorf("record is cut short: %w", errTorn)
	}
	if whole > int64(len(buf)) {
		buf = make([]byte, whole)
		if err := readAt(r, buf, off); err != nil {
			return nil, 0, err
		}
	}
	data, used, ok := pack.Stored(buf[n:])
	if !ok || int64(len(data)) != e.Size {
		return nil, 0, fmt.Errorf("record's stream is damaged: %w", errTorn)
	}
	return data, off + int64(n+used), nil
}

// readAt fills buf.
func readAt(r io.ReaderAt, buf []byte, off int64) error {
	n, err := r.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	return err
}
