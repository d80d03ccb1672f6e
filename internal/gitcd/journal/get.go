// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Get returns an object: from open segments, sealed packs, packs that others
// left here before the journal was opened, or loose objects.
func (j *Journal) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	kind, data, err := j.get(id)
	if err != nil {
		return 0, nil, fmt.Errorf("get object %s: %w", id, err)
	}
	return kind, data, nil
}

func (j *Journal) get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	seg, off, end, packs := j.locate(id)
	if seg != nil {
		kind, data, err := pack.Resolve(seg.file, off, end, nil)
		return kind, data, corruptIn(seg.name, err)
	}
	for _, p := range packs {
		kind, data, found, err := p.Get(id)
		if err != nil {
			return 0, nil, corruptIn(p.name, err)
		}
		if found {
			return kind, data, nil
		}
	}
	if !j.loose {
		return j.getSuperseded(id)
	}
	name := path.Join(j.dir, "objects", id.String()[:2], id.String()[2:])
	data, err := vfs.ReadFile(j.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return j.getElsewhere(id)
	}
	if err != nil {
		return 0, nil, err
	}
	kind, content, err := pack.DecodeLoose(data)
	return kind, content, corruptIn(name, err)
}

// locate finds an object in the open segments; else it returns the packs to look into.
func (j *Journal) locate(id gitobj.ID) (seg *segment, off, end int64, packs []*packFile) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, s := range slices.Backward(j.mu.segments) {
		if at, ok := s.lookup(id); ok {
			return s, int64(s.entries[at].off), s.end, nil
		}
	}
	return nil, 0, 0, j.mu.packs
}

// corruptIn gives damage its address.
func corruptIn(name string, err error) error {
	if !errors.Is(err, pack.ErrCorrupt) {
		return err
	}
	return &Error{Op: "read", File: name, Offset: -1, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
}

// Has says whether there is an object. If that cannot be found out it says no:
// a caller then writes the object once more, or is told by Get.
func (j *Journal) Has(id gitobj.ID) bool {
	seg, _, _, packs := j.locate(id)
	if seg != nil {
		return true
	}
	for _, p := range packs {
		if _, found, err := p.Index.Find(id); err == nil && found {
			return true
		}
	}
	if !j.loose {
		return false
	}
	_, _, err := j.get(id)
	return err == nil
}

// GetAt returns the record of the frame at a place: one that the checkpoint does not cover.
func (j *Journal) GetAt(p Place) ([]byte, error) {
	file, name, size, err := j.segmentFile(p.Segment)
	if err != nil {
		return nil, err
	}
	b, err := readBatch(file, int64(p.Offset), size, nil)
	if errors.Is(err, errTorn) || errors.Is(err, errNoRecord) || err == nil && (p.Seq < b.seq || p.Seq-b.seq >= uint64(len(b.frames))) {
		return nil, &Error{Op: "read", File: name, Offset: int64(p.Offset), Err: fmt.Errorf("no frame %d there: %w", p.Seq, errors.Join(ErrCorrupt, err)), Hint: hintRestore}
	}
	if err != nil {
		return nil, fmt.Errorf("read frame %d: %w", p.Seq, err)
	}
	return b.frames[p.Seq-b.seq].Record, nil
}

// segmentFile returns a segment's file, sealed or not, and where its batches end.
func (j *Journal) segmentFile(number uint32) (vfs.File, string, int64, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, s := range j.mu.segments {
		if s.segment == number {
			return s.file, s.name, s.end, nil
		}
	}
	for _, p := range j.mu.packs {
		if p.segment == number && number != 0 {
			return p.data, p.name, p.size - pack.TrailerSize, nil
		}
	}
	return nil, "", 0, &Error{Op: "read", File: segmentName(j.dir, number), Offset: -1, Err: fmt.Errorf("segment is gone: %w", ErrCorrupt), Hint: hintRestore}
}
