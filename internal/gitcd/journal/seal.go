// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Git's checksum
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// seal makes a full segment a pack of Git's. Its successor is there already, and
// all its batches are durable. Each step can be repeated after a crash; the
// rename of the segment is the one that counts:
//
//	state      reading starts at the successor from now on
//	.open      count, trailer, no zeros behind; synced
//	.keep .idx Git ignores an index without a pack
//	rename     seg-N.open becomes pack-<sha>.pack
//
// The caller holds maintenance.
func (j *Journal) seal(seg *segment) error {
	durable := !j.opts.NoSync
	next := j.successor(seg)
	if err := writeState(j.fs, j.dir, next, durable); err != nil {
		return fmt.Errorf("seal %s: %w", seg.name, err)
	}
	entries, trailer, err := j.finish(seg)
	if err != nil {
		return fmt.Errorf("seal %s: %w", seg.name, err)
	}
	stem := path.Join(j.dir, packDir, "pack-"+trailer.String())
	keep := fmt.Sprintf("gitcd: segment %d of the journal\n", seg.segment)
	if err := vfs.WriteFile(j.fs, stem+".keep", []byte(keep), false); err != nil { // the index's sync takes its name along
		return fmt.Errorf("seal %s: %w", seg.name, err)
	}
	if err := vfs.WriteFile(j.fs, stem+".idx", pack.AppendIndex(nil, entries, trailer), durable); err != nil {
		return fmt.Errorf("seal %s: %w", seg.name, err)
	}
	if err := j.fs.Rename(seg.name, stem+".pack"); err != nil {
		return fmt.Errorf("seal %s: %w", seg.name, err)
	}
	if durable {
		if err := j.fs.SyncDir(path.Join(j.dir, packDir)); err != nil {
			return fmt.Errorf("seal %s: %w", seg.name, err)
		}
	}
	if err := j.exchangeForPack(seg, stem); err != nil {
		return j.fail("seal", seg.name, err) // the segment is a pack by now: there is no way back
	}
	return nil
}

// successor returns where reading starts when the segment is sealed.
func (j *Journal) successor(seg *segment) start {
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, s := range j.mu.segments {
		if s.segment == seg.segment+1 {
			return s.start
		}
	}
	return start{}
}

// finish writes count and trailer, cuts off the zeros, and returns the lines of the index.
func (j *Journal) finish(seg *segment) ([]pack.IndexEntry, gitobj.ID, error) {
	seg.ahead.finish()
	all := j.run(seg, 0, len(seg.entries))
	count, end := uint32(len(all.entries)), all.end //nolint:gosec // a segment has fewer than 4G entries
	sum := sha1.New()                               //nolint:gosec // Git's checksum
	sum.Write(pack.AppendHeader(nil, count))
	out := make([]pack.IndexEntry, 0, count)
	err := all.each(func(_ int, e entry, raw []byte) error {
		sum.Write(raw)
		line := pack.IndexEntry{ID: e.id, CRC: crc32.ChecksumIEEE(raw), Offset: int64(e.off)}
		if e.kind == 0 {
			content, _, err := readRecord(bytes.NewReader(raw), 0, int64(len(raw)))
			if err != nil {
				return &Error{Op: "seal", File: seg.name, Offset: line.Offset, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
			}
			line.ID = gitobj.Hash(gitobj.KindBlob, content)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		return nil, gitobj.Zero, err
	}
	var trailer gitobj.ID
	sum.Sum(trailer[:0])
	if _, err := seg.file.WriteAt(trailer[:], end); err != nil {
		return nil, gitobj.Zero, err
	}
	if err := seg.file.Truncate(end + pack.TrailerSize); err != nil {
		return nil, gitobj.Zero, err
	}
	if _, err := seg.file.WriteAt(binary.BigEndian.AppendUint32(nil, count), 8); err != nil {
		return nil, gitobj.Zero, err
	}
	if j.opts.NoSync {
		return out, trailer, nil
	}
	if err := seg.file.Sync(); err != nil {
		return nil, gitobj.Zero, j.fail("seal", seg.name, err)
	}
	return out, trailer, nil
}

// exchangeForPack lets readers use the pack in place of the segment. Both are the same bytes.
func (j *Journal) exchangeForPack(seg *segment, stem string) error {
	// Readers may be about to read the segment's file: it stays open, as the pack's.
	p, err := openIndexed(j.fs, stem, seg.file)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, s := range j.mu.segments {
		if s == seg {
			j.mu.segments = append(j.mu.segments[:i:i], j.mu.segments[i+1:]...)
			break
		}
	}
	j.mu.packs = append([]*packFile{p}, j.mu.packs...)
	return nil
}
