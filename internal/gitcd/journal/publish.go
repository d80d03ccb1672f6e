// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Stock Git sees an open segment through tail packs: copies of runs of its
// objects. They are folded as they grow, so that their sizes fall from old to
// new by half at least, and an object is copied O(log n) times:
//
//	segment  |rec a b rec c rec d e f rec g|
//	tails    |--------- a b c d ---------| e f |g|
//
// A tail pack needs no sync: after a crash the tails are made anew. Its name
// tells it from all other packs; Git wants 40 hexadecimal digits there, any.
const tailPrefix = "pack-67697463642d" // "gitcd-"

// tail is a tail pack: the segment's entries from a place to another.
type tail struct {
	// stem is the name without what follows the dot.
	stem     string
	from, to int
	size     int64
}

// Publish makes all objects and refs visible to stock Git, and seals what is full.
func (j *Journal) Publish(ctx context.Context) error {
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	if err := j.publish(ctx); err != nil {
		return fmt.Errorf("publish to git: %w", err)
	}
	return nil
}

// view is one moment of the journal: what refs show, and how many entries each segment has.
type view struct {
	segments   []*segment
	entries    []int
	refs       map[string]gitobj.ID
	refChanges uint64
}

func (j *Journal) view() view {
	j.mu.RLock()
	defer j.mu.RUnlock()
	v := view{segments: slices.Clone(j.mu.segments), refs: j.refsLocked(""), refChanges: j.mu.refChanges}
	for _, s := range v.segments {
		v.entries = append(v.entries, len(s.entries))
	}
	return v
}

// publish holds maintenance.
func (j *Journal) publish(ctx context.Context) error {
	v := j.view()
	var replaced []string
	for i, seg := range v.segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		old, err := j.showEntries(seg, v.entries[i])
		if err != nil {
			return err
		}
		replaced = append(replaced, old...)
	}
	if v.refChanges != j.shownRefs {
		if err := vfs.WriteFile(j.fs, path.Join(j.dir, packedRefsFile), packedRefs(v.refs), false); err != nil {
			return err
		}
		j.shownRefs = v.refChanges
	}
	if segment, offset := j.syncs.position(); segment > 0 {
		if err := writeSynced(j.fs, j.dir, segment, offset); err != nil {
			return err
		}
	}
	for _, seg := range v.segments[:len(v.segments)-1] {
		stems, err := j.seal(seg)
		if err != nil {
			return err
		}
		replaced = append(replaced, stems...)
	}
	return j.retire(replaced)
}

// position returns up to where which segment is durable.
func (s *syncer) position() (segment uint32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segment, s.offset
}

// showEntries makes the first n entries of a segment visible. It returns the tails that are not needed any more.
func (j *Journal) showEntries(seg *segment, n int) (replaced []string, err error) {
	if seg.shown == n {
		return nil, nil
	}
	from, keep := seg.shown, len(seg.tails)
	size := j.span(seg, from, n)
	for keep > 0 && seg.tails[keep-1].size < 2*size {
		keep--
		from = seg.tails[keep].from
		size = j.span(seg, from, n)
	}
	slice, err := j.copySlice(seg, from, n)
	if err != nil {
		return nil, err
	}
	folded := seg.tails[keep:]
	tails := slices.Clone(seg.tails[:keep])
	if slice.count() > 0 {
		t := tail{stem: slice.stem(), from: from, to: n, size: size}
		if err := j.writeTail(t, slice); err != nil {
			return nil, err
		}
		tails = append(tails, t)
	}
	for _, t := range folded {
		if !slices.ContainsFunc(tails, func(other tail) bool { return other.stem == t.stem }) {
			replaced = append(replaced, t.stem)
		}
	}
	seg.tails, seg.shown = tails, n
	return replaced, nil
}

// span returns the bytes from one entry to another.
func (j *Journal) span(seg *segment, from, to int) int64 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return seg.entryEnd(to-1) - int64(seg.entries[from].off)
}

// writeTail puts a tail pack where Git looks.
func (j *Journal) writeTail(t tail, s *slice) error {
	stem := path.Join(j.dir, packDir, t.stem)
	if err := vfs.WriteFile(j.fs, stem+".pack", s.data, false); err != nil {
		return err
	}
	return vfs.WriteFile(j.fs, stem+".idx", s.index(), false)
}

// retire removes the tails that were replaced at the last publishing, and
// notes those replaced at this: a git that runs may be about to open them.
func (j *Journal) retire(replaced []string) error {
	inUse := map[string]bool{}
	for _, seg := range j.view().segments {
		for _, t := range seg.tails {
			inUse[t.stem] = true
		}
	}
	for _, stem := range j.oldTails {
		if !inUse[stem] && !slices.Contains(replaced, stem) {
			if err := removePack(j.fs, path.Join(j.dir, packDir, stem)); err != nil {
				return err
			}
		}
	}
	j.oldTails = replaced
	return nil
}

// removePack removes the index first: Git does not see a pack without one.
func removePack(fsys vfs.FS, stem string) error {
	for _, suffix := range []string{".idx", ".pack"} {
		if err := fsys.Remove(stem + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// leftovers returns the tail packs that an earlier process has left, and
// other files of its that are not finished. Power may have torn any of them.
func leftovers(fsys vfs.FS, dir string) (tails, unfinished []string, err error) {
	entries, err := fsys.List(path.Join(dir, packDir))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		stem, suffix, _ := strings.Cut(e.Name, ".")
		switch {
		case strings.HasPrefix(stem, "pack-") && strings.HasSuffix(suffix, ".tmp"):
			unfinished = append(unfinished, e.Name)
		case strings.HasPrefix(stem, tailPrefix) && !slices.Contains(tails, stem):
			tails = append(tails, stem)
		}
	}
	return tails, unfinished, nil
}

// packedRefs returns the content of the packed-refs file.
func packedRefs(refs map[string]gitobj.ID) []byte {
	out := []byte("# pack-refs with: sorted\n")
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		out = fmt.Appendf(out, "%s %s\n", refs[name], name)
	}
	return out
}
