// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/sha1" //nolint:gosec // Git's checksum
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"path"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// run is a number of entries of a segment, one after the other.
type run struct {
	seg     *segment
	from    int
	entries []entry
	// end is where the last one ends.
	end int64
}

func (j *Journal) run(seg *segment, from, to int) run {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return run{seg: seg, from: from, entries: seg.entries[from:to:to], end: seg.entryEnd(to - 1)}
}

// size returns the bytes of the run.
func (r run) size() int64 { return r.end - int64(r.entries[0].off) }

// objects returns how many of the entries are objects.
func (r run) objects() int {
	n := 0
	for _, e := range r.entries {
		if e.kind != 0 {
			n++
		}
	}
	return n
}

// each yields the bytes of the entries, in order. They are valid during the call only.
func (r run) each(yield func(i int, e entry, raw []byte) error) error {
	w := window{file: r.seg.file, end: r.end}
	for i, e := range r.entries {
		next := r.end
		if i+1 < len(r.entries) {
			next = int64(r.entries[i+1].off)
		}
		raw, err := w.bytes(int64(e.off), next)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.seg.name, err)
		}
		if err := yield(i, e, raw); err != nil {
			return err
		}
	}
	return nil
}

// window reads a file in large pieces, forwards.
type window struct {
	file vfs.File
	end  int64
	buf  []byte
	at   int64
}

const windowSize = 256 << 10

// bytes returns what lies between two offsets.
func (w *window) bytes(from, to int64) ([]byte, error) {
	if from < w.at || to > w.at+int64(len(w.buf)) {
		n := max(to-from, min(windowSize, w.end-from))
		if int64(cap(w.buf)) < n {
			w.buf = make([]byte, n)
		}
		w.buf, w.at = w.buf[:n], from
		if err := readAt(w.file, w.buf, from); err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	return w.buf[from-w.at : to-w.at], nil
}

// copier makes a pack of the objects of a run, without the records. A delta
// keeps its base if that comes along; else the object is written whole.
type copier struct {
	run
	file vfs.File
	sum  hash.Hash
	// buf is written at off when it is full.
	buf []byte
	off int64
	// moved is, for each entry, its offset in the new pack.
	moved []int64
	lines []pack.IndexEntry
}

// copyTail makes a tail pack of a run. The caller has seen that there are objects in it.
func (j *Journal) copyTail(r run) (_ tail, err error) {
	tmp := path.Join(j.dir, packDir, tailPrefix+".pack.tmp")
	c := &copier{run: r, sum: sha1.New(), moved: make([]int64, len(r.entries))} //nolint:gosec // Git's checksum
	if c.file, err = vfs.CreateAnew(j.fs, tmp); err != nil {
		return tail{}, err
	}
	trailer, err := c.copy()
	if err = errors.Join(err, c.file.Close()); err != nil {
		return tail{}, err
	}
	t := tail{stem: tailPrefix + trailer.String()[len(tailPrefix)-len("pack-"):], from: r.from, to: r.from + len(r.entries), size: r.size(), bytes: c.off + pack.TrailerSize}
	stem := path.Join(j.dir, packDir, t.stem)
	if err := j.fs.Rename(tmp, stem+".pack"); err != nil {
		return tail{}, err
	}
	return t, vfs.WriteFile(j.fs, stem+".idx", pack.AppendIndex(nil, c.lines, trailer), false)
}

func (c *copier) copy() (trailer gitobj.ID, err error) {
	n := c.objects()
	c.lines = make([]pack.IndexEntry, 0, n)
	c.buf = pack.AppendHeader(make([]byte, 0, min(windowSize, c.size()+pack.HeaderSize)), uint32(n)) //nolint:gosec // a segment has fewer than 4G entries
	if err := c.each(c.entry); err != nil {
		return trailer, err
	}
	if err := c.flush(); err != nil {
		return trailer, err
	}
	c.sum.Sum(trailer[:0])
	_, err = c.file.WriteAt(trailer[:], c.off)
	return trailer, err
}

func (c *copier) flush() error {
	c.sum.Write(c.buf)
	_, err := c.file.WriteAt(c.buf, c.off)
	c.off += int64(len(c.buf))
	c.buf = c.buf[:0]
	return err
}

// entry copies one entry.
func (c *copier) entry(i int, e entry, raw []byte) error {
	if e.kind == 0 {
		return nil
	}
	if len(c.buf) > 0 && len(c.buf)+len(raw) > windowSize {
		if err := c.flush(); err != nil {
			return err
		}
	}
	start := len(c.buf)
	at := c.off + int64(start)
	c.moved[i] = at
	switch base := int(e.base) - c.from; {
	case e.base == noBase:
		c.buf = append(c.buf, raw...)
	case base >= 0:
		header, n, err := pack.ParseEntry(raw)
		if err != nil {
			return fmt.Errorf("read %s: %w", c.seg.name, err)
		}
		header.Distance = at - c.moved[base]
		c.buf = append(pack.AppendEntry(c.buf, header), raw[n:]...)
	default:
		kind, content, err := pack.Resolve(c.seg.file, int64(e.off), c.end, nil)
		if err != nil {
			return corruptIn(c.seg.name, err)
		}
		c.buf = pack.AppendEntry(c.buf, pack.Entry{Type: pack.Type(kind), Size: int64(len(content))})
		c.buf = pack.AppendStored(c.buf, content)
	}
	c.lines = append(c.lines, pack.IndexEntry{ID: e.id, CRC: crc32.ChecksumIEEE(c.buf[start:]), Offset: at})
	return nil
}
