// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// checkpoint is the caller's last one.
type checkpoint struct {
	sync.Mutex
	upTo uint64
}

// Checkpoint keeps payload in place of all records up to and including frame
// upTo: Records does not yield them any more. What was appended before is made durable first.
func (j *Journal) Checkpoint(ctx context.Context, payload []byte, upTo uint64) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := j.failed(); err != nil {
		return err
	}
	last := j.Seq()
	if upTo > last {
		return fmt.Errorf("write checkpoint: frame %d is not yet written, the last is %d", upTo, last)
	}
	if err := j.syncTo(last); err != nil {
		return err
	}
	j.checkpoint.Lock()
	defer j.checkpoint.Unlock()
	if upTo < j.checkpoint.upTo {
		return fmt.Errorf("write checkpoint: there is a later one, up to frame %d, than this one, up to %d", j.checkpoint.upTo, upTo)
	}
	body := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(payload)), upTo)
	body = append(body, payload...)
	if err := vfs.WriteFile(j.fs, path.Join(j.dir, checkpointFile), sealSmall(checkpointMagic, body), !j.opts.NoSync); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	j.checkpoint.upTo = upTo
	return nil
}

// LastCheckpoint returns the last checkpoint, and up to which frame it goes; nil and 0 if there is none.
func (j *Journal) LastCheckpoint() (payload []byte, upTo uint64, err error) {
	j.checkpoint.Lock()
	defer j.checkpoint.Unlock()
	return readCheckpoint(j.fs, j.dir)
}

func readCheckpoint(fsys vfs.FS, dir string) (payload []byte, upTo uint64, err error) {
	name := path.Join(dir, checkpointFile)
	body, err := readSmall(fsys, name, checkpointMagic)
	if err != nil || body == nil {
		return nil, 0, err
	}
	if len(body) < 8 {
		return nil, 0, &Error{Op: "read", File: name, Offset: 0, Err: ErrCorrupt, Hint: hintRestore}
	}
	return body[8:], binary.BigEndian.Uint64(body), nil
}

// Records yields, in order, the frames behind the last checkpoint: number,
// record and ref updates. A record is valid only during the call. Frames without
// a record may be left out once they are folded.
func (j *Journal) Records(yield func(seq uint64, record []byte, refs []RefUpdate) error) error {
	j.checkpoint.Lock()
	after := j.checkpoint.upTo
	j.checkpoint.Unlock()
	after = max(after, j.foldedUpTo())
	last := j.Seq()
	for _, number := range j.segmentsBehind(after) {
		file, name, size, err := j.segmentFile(number)
		if err != nil {
			return err
		}
		after, err = replayFile(file, name, size, after, yield)
		if err != nil {
			return err
		}
	}
	if after < last {
		return &Error{Op: "replay", File: path.Join(j.dir, journalDir), Offset: -1, Err: fmt.Errorf("frames %d to %d are gone: %w", after+1, last, ErrCorrupt), Hint: hintRestore}
	}
	return nil
}

// segmentsBehind returns the numbers of the segments that have frames behind one.
func (j *Journal) segmentsBehind(after uint64) []uint32 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	var numbers []uint32
	for _, p := range slices.Backward(j.mu.packs) { // the newest is first
		if p.segment == 0 {
			continue
		}
		if p.seq <= after+1 {
			numbers = numbers[:0]
		}
		numbers = append(numbers, p.segment)
	}
	for _, s := range j.mu.segments {
		if s.seq <= after {
			numbers = numbers[:0]
		}
		numbers = append(numbers, s.segment)
	}
	return numbers
}

// replayFile yields the frames of one segment behind after, and returns the last one's number.
func replayFile(file vfs.File, name string, size int64, after uint64, yield func(uint64, []byte, []RefUpdate) error) (uint64, error) {
	ahead := &readAhead{r: file, size: size}
	for off := int64(pack.HeaderSize); off < size; {
		b, err := readBatch(ahead, off, size, nil)
		if errors.Is(err, errTorn) || errors.Is(err, errNoRecord) {
			return after, &Error{Op: "replay", File: name, Offset: off, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
		}
		if err != nil {
			return after, fmt.Errorf("replay %s: %w", name, err)
		}
		for i, f := range b.frames {
			seq := b.seq + uint64(i)
			if seq <= after {
				continue
			}
			if seq != after+1 {
				return after, &Error{Op: "replay", File: name, Offset: off, Err: fmt.Errorf("frame %d follows frame %d: %w", seq, after, ErrCorrupt), Hint: hintRestore}
			}
			if err := yield(seq, f.Record, f.Refs); err != nil {
				return after, err
			}
			after = seq
		}
		off = b.end
	}
	return after, nil
}

// readAhead serves small reads that go forward from larger ones.
type readAhead struct {
	r    io.ReaderAt
	size int64 // of what there is to be read
	at   int64
	buf  []byte
}

// readAheadSize is about what some batches of small writes take.
const readAheadSize = 64 << 10

// ReadAt implements io.ReaderAt, for one reader at a time.
func (a *readAhead) ReadAt(p []byte, off int64) (int, error) {
	if off >= a.at && off+int64(len(p)) <= a.at+int64(len(a.buf)) {
		return copy(p, a.buf[off-a.at:]), nil
	}
	if len(p) >= readAheadSize || off+int64(len(p)) > a.size {
		return a.r.ReadAt(p, off)
	}
	if a.buf == nil {
		a.buf = make([]byte, readAheadSize)
	}
	a.at, a.buf = off, a.buf[:min(readAheadSize, a.size-off)]
	if n, err := a.r.ReadAt(a.buf, off); n < len(a.buf) {
		a.buf = a.buf[:0]
		return 0, err
	}
	return copy(p, a.buf), nil
}
