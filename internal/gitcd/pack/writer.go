// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"fmt"
	"hash"
	"io"

	"github.com/pjbgf/sha1cd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Writer writes a pack as a stream, compressed: for a wire, not for a journal.
type Writer struct {
	w     io.Writer
	sum   hash.Hash
	count int
	done  int
	buf   []byte
	err   error
}

// NewWriter begins a pack of count objects.
func NewWriter(w io.Writer, count int) *Writer {
	pw := &Writer{w: w, sum: sha1cd.New(), count: count}
	pw.write(AppendHeader(nil, uint32(count))) //nolint:gosec // a pack has at most 4G objects
	return pw
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(b)
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("write pack: %w", err)
	}
}

// WriteObject adds a whole object.
func (w *Writer) WriteObject(kind gitobj.Kind, data []byte) error {
	return w.entry(Entry{Type: Type(kind), Size: int64(len(data))}, data)
}

// WriteDelta adds an object as a delta of one that is in the pack, or, where
// the reader takes thin packs, that the reader has.
func (w *Writer) WriteDelta(base gitobj.ID, delta []byte) error {
	return w.entry(Entry{Type: RefDelta, Size: int64(len(delta)), Base: base}, delta)
}

func (w *Writer) entry(e Entry, data []byte) error {
	w.done++
	buf, err := AppendDeflated(AppendEntry(w.buf[:0], e), data)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write pack: %w", err)
	}
	w.write(buf)
	w.buf = buf[:0]
	return w.err
}

// Close writes the trailer, which it returns. It does not close what is below.
func (w *Writer) Close() (trailer gitobj.ID, err error) {
	if w.err == nil && w.done != w.count {
		w.err = fmt.Errorf("write pack: %d objects of %d were written", w.done, w.count)
	}
	if w.err != nil {
		return trailer, w.err
	}
	w.sum.Sum(trailer[:0])
	if _, err := w.w.Write(trailer[:]); err != nil {
		return trailer, fmt.Errorf("write pack: %w", err)
	}
	return trailer, nil
}
