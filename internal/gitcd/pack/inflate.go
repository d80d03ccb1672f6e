// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
)

var (
	inflaters sync.Pool
	deflaters = sync.Pool{New: func() any {
		w, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
		if err != nil {
			return err
		}
		return w
	}}
)

// maxRatio is the most that one byte of a deflate stream can inflate to.
const maxRatio = 1032

// inflate reads a zlib stream of exactly size bytes. A source that is an
// io.ByteReader is read up to the stream's end and no further.
func inflate(src io.Reader, size int64) ([]byte, error) {
	r, ok := inflaters.Get().(io.ReadCloser)
	if ok {
		reset, can := r.(zlib.Resetter)
		if !can {
			ok = false
		} else if err := reset.Reset(src, nil); err != nil {
			return nil, corrupt("zlib stream", err)
		}
	}
	if !ok {
		var err error
		if r, err = zlib.NewReader(src); err != nil {
			return nil, corrupt("zlib stream", err)
		}
	}
	defer inflaters.Put(r)
	// A size that lies is found out before its memory is taken.
	var out bytes.Buffer
	out.Grow(int(min(size, 1<<20)) + bytes.MinRead)
	n, err := io.Copy(&out, io.LimitReader(r, size+1))
	if err != nil {
		return nil, corrupt("zlib stream", err)
	}
	if n != size {
		return nil, fmt.Errorf("zlib stream has not the %d bytes of its header: %w", size, ErrCorrupt)
	}
	return out.Bytes(), nil
}

// corrupt names what is damaged; an error of the disk or the peer stays itself.
func corrupt(what string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w: %w", what, io.ErrUnexpectedEOF, ErrCorrupt)
	}
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrDictionary) || isDeflate(err) {
		return fmt.Errorf("%s: %w: %w", what, err, ErrCorrupt)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// isDeflate says whether the error is about the stream rather than its source.
func isDeflate(err error) bool {
	var input flate.CorruptInputError
	var internal flate.InternalError
	return errors.As(err, &input) || errors.As(err, &internal)
}

// AppendDeflated appends data as a compressed zlib stream.
func AppendDeflated(dst, data []byte) ([]byte, error) {
	w, ok := deflaters.Get().(*zlib.Writer)
	if !ok {
		return nil, errors.New("deflate: no compressor")
	}
	defer deflaters.Put(w)
	buf := bytes.NewBuffer(dst)
	w.Reset(buf)
	_, err := w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	return buf.Bytes(), nil
}

// ReadEntry reads the entry at an offset: its header and what its stream
// holds. end is where the entries end.
func ReadEntry(r io.ReaderAt, off, end int64) (Entry, []byte, error) {
	const first = 4096
	if off < 0 || off >= end {
		return Entry{}, nil, fmt.Errorf("entry at %d: outside of the pack: %w", off, ErrCorrupt)
	}
	pooled, ok := buffers.Get().(*[]byte)
	if !ok {
		return Entry{}, nil, errors.New("read entry: no buffer")
	}
	defer buffers.Put(pooled)
	size := int(min(first, end-off))
	*pooled = slices.Grow((*pooled)[:0], size)[:size]
	buf := *pooled
	if err := readFull(r, buf, off); err != nil {
		return Entry{}, nil, fmt.Errorf("entry at %d: %w", off, err)
	}
	e, n, err := ParseEntry(buf)
	if err != nil {
		return e, nil, fmt.Errorf("entry at %d: %w", off, err)
	}
	if e.Size > (end-off)*maxRatio {
		return e, nil, fmt.Errorf("entry at %d: %d bytes cannot be in what is left of the pack: %w", off, e.Size, ErrCorrupt)
	}
	data, err := readStored(r, buf, n, off, end, e.Size)
	if data == nil && err == nil {
		data, err = inflate(io.NewSectionReader(r, off+int64(n), end-off-int64(n)), e.Size)
	}
	if err != nil {
		return e, nil, fmt.Errorf("entry at %d: %w", off, err)
	}
	return e, data, nil
}

// readStored returns what a stream that is not compressed holds, nil if it is none. buf is what is read of the
// entry, the stream's beginning at n. A stored block is as long as it says.
func readStored(r io.ReaderAt, buf []byte, n int, off, end, size int64) ([]byte, error) {
	if n+2 >= len(buf) || buf[n+2] > 1 {
		return nil, nil
	}
	want := int64(n) + int64(StoredSize(int(size)))
	if want <= int64(len(buf)) || want > end-off {
		if data, _, ok := Stored(buf[n:]); ok && int64(len(data)) == size {
			return append([]byte{}, data...), nil // buf is not kept
		}
		return nil, nil
	}
	more := make([]byte, want)
	have := copy(more, buf)
	if err := readFull(r, more[have:], off+int64(have)); err != nil {
		return nil, err
	}
	if data, _, ok := Stored(more[n:]); ok && int64(len(data)) == size {
		return data, nil
	}
	return nil, nil
}

func readFull(r io.ReaderAt, buf []byte, off int64) error {
	n, err := r.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("cut short: %w: %w", io.ErrUnexpectedEOF, ErrCorrupt)
	}
	return err
}
