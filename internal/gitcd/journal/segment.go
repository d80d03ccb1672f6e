// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// start is the state of a journal before a segment's first batch.
type start struct {
	segment uint32
	// seq is the number of the last frame before it, chain the checksum of the last batch.
	seq   uint64
	chain uint32
	refs  map[string]gitobj.ID
}

// entry is one entry of a segment, in memory.
type entry struct {
	id gitobj.ID
	// off is where the entry begins. It ends where the next one begins.
	off uint32
	// base is the place in the segment's entries of the delta's base, or noBase.
	base int32
	// kind is 0 for a record: its id is not needed before the segment is sealed.
	kind  gitobj.Kind
	depth uint8
}

const noBase = -1

// segment is a file that is not yet a pack.
//
// Journal.write guards the growth of entries, byID, end and allocated, and kin; readers
// of entries, byID and end hold Journal.mu, which the growth takes too.
type segment struct {
	start
	name  string
	file  vfs.File
	nonce uint64

	entries []entry
	// byID finds objects, not records, in entries.
	byID map[gitobj.ID]int32
	// end is where the next batch goes.
	end int64

	ahead allocation
	kin   kin

	// tails are the packs that show this segment to Git. Journal.maintenance guards them.
	tails []tail
	// shown is the number of entries that the tails cover, shownEnd where the last one ends.
	shown    int
	shownEnd int64
}

func segmentName(dir string, number uint32) string {
	return path.Join(dir, journalDir, fmt.Sprintf("seg-%08d.open", number))
}

func parseSegmentName(name string) (number uint32, ok bool) {
	n, err := fmt.Sscanf(name, "seg-%08d.open", &number)
	return number, err == nil && n == 1 && path.Base(segmentName("", number)) == name
}

// lookup finds an object among the entries.
func (s *segment) lookup(id gitobj.ID) (int, bool) {
	at, ok := s.byID[id]
	return int(at), ok
}

// add puts the entries of a batch, which ends at end, behind the others.
func (s *segment) add(entries []entry, end int64) {
	for _, e := range entries {
		if e.kind != 0 {
			s.byID[e.id] = int32(len(s.entries)) //nolint:gosec // a segment has fewer than 2G entries
		}
		s.entries = append(s.entries, e)
	}
	s.end = end
}

// entryEnd returns where the entry at a place ends.
func (s *segment) entryEnd(at int) int64 {
	if at+1 < len(s.entries) {
		return int64(s.entries[at+1].off)
	}
	return s.end
}

// room is what a new segment has: blocks, and of them zero-filled ones.
type room struct{ blocks, zeroed int64 }

// newRoom is what the next segment should have.
func (j *Journal) newRoom() room {
	r := room{blocks: min(leastRoom, j.opts.SegmentSize)}
	if j.syncs.small() {
		r.zeroed = min(zeroFirst, r.blocks)
	}
	return r
}

// createSegment makes the file of a segment, with some room, and makes its name durable.
func createSegment(fsys vfs.FS, dir string, from start, has room, durable bool) (_ *segment, err error) {
	name := segmentName(dir, from.segment)
	tmp := name + ".tmp"
	f, err := fsys.Open(tmp, vfs.Write)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err = f.Truncate(0); err != nil {
		return nil, err
	}
	if err = f.Allocate(has.blocks); err != nil {
		return nil, err
	}
	if err = writeZeros(f, 0, has.zeroed); err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(pack.AppendHeader(nil, 0), 0); err != nil {
		return nil, err
	}
	if durable {
		if err = f.Sync(); err != nil {
			return nil, err
		}
	}
	if err = fsys.Rename(tmp, name); err != nil {
		return nil, err
	}
	if durable {
		if err = fsys.SyncDir(path.Dir(name)); err != nil {
			return nil, err
		}
	}
	s := newSegment(name, f, from)
	s.nonce, err = newNonce()
	s.ahead.begin(has, s.end)
	return s, err
}

func newSegment(name string, f vfs.File, from start) *segment {
	s := &segment{start: from, name: name, file: f, byID: map[gitobj.ID]int32{}, end: pack.HeaderSize}
	s.ahead.init()
	return s
}

func newNonce() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("make nonce: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}
