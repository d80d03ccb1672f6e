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
	"time"

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
	if err := j.failed(); err != nil {
		return err
	}
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
	for i, seg := range v.segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := j.showEntries(seg, v.entries[i]); err != nil {
			return err
		}
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
		if err := j.seal(seg); err != nil {
			return err
		}
		j.replace(seg.tails)
	}
	return j.retire()
}

// position returns up to where which segment is durable.
func (s *syncer) position() (segment uint32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segment, s.offset
}

// showEntries makes the first n entries of a segment visible, in a new tail
// that takes in those before it which are not twice its size.
func (j *Journal) showEntries(seg *segment, n int) error {
	if seg.shown == n {
		return nil
	}
	r, keep := j.run(seg, seg.shown, n), len(seg.tails)
	for keep > 0 && seg.tails[keep-1].size < 2*r.size() {
		keep--
		r = j.run(seg, seg.tails[keep].from, n)
	}
	tails := slices.Clone(seg.tails[:keep])
	if r.objects() > 0 {
		t, err := j.copyTail(r)
		if err != nil {
			return err
		}
		tails = append(tails, t)
	}
	j.replace(seg.tails[keep:])
	seg.tails, seg.shown = tails, n
	return nil
}

// replace notes that tails are not needed any more.
func (j *Journal) replace(tails []tail) {
	for _, t := range tails {
		j.oldTails = append(j.oldTails, oldTail{t.stem, t.size, j.opts.Clock.Now()})
	}
}

// oldTail is a tail pack that was replaced, and when.
type oldTail struct {
	stem  string
	size  int64
	since time.Time
}

// A replaced tail stays for a while, for a git that runs and has seen its name;
// but not for long when the old ones together take much room.
const (
	keepTails     = 30 * time.Second
	keepTailBytes = 64 << 20
	leastKeep     = time.Second
)

// retire removes tails that were replaced long ago.
func (j *Journal) retire() error {
	inUse := maps.Clone(j.foreign)
	for _, seg := range j.view().segments {
		for _, t := range seg.tails {
			inUse[t.stem] = true
		}
	}
	var keep []oldTail
	now, total := j.opts.Clock.Now(), int64(0)
	for _, t := range slices.Backward(j.oldTails) {
		total += t.size
		age := now.Sub(t.since)
		switch {
		case inUse[t.stem]: // made again, of the same content
		case age < leastKeep, age < keepTails && total <= keepTailBytes:
			keep = append(keep, t)
		default:
			if err := removePack(j.fs, path.Join(j.dir, packDir, t.stem)); err != nil {
				return err
			}
		}
	}
	slices.Reverse(keep)
	j.oldTails = keep
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
func leftovers(fsys vfs.FS, dir string, foreign map[string]bool) (tails, unfinished []string, err error) {
	entries, err := fsys.List(path.Join(dir, packDir))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		stem, suffix, _ := strings.Cut(e.Name, ".")
		switch {
		case foreign[stem]:
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
