// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Stock Git sees an open segment through tail packs: copies of runs of its
// objects. Each change gets one of its own. Eight small ones become one of the
// next tier, and large ones stay as they are, so that there are few, and an
// object is copied at most once a tier:
//
//	segment  |rec a b rec c rec d e f rec g|
//	tails    |--------- a b c d ---------| e f |g|
//
// A tail pack needs no sync: after a crash the tails are made anew. Its name
// tells it from all other packs; Git wants 40 hexadecimal digits there, any.
const tailPrefix = "pack-67697463642d" // "gitcd-"

const (
	tailFan   = 8
	smallTail = 4 << 10
	topTier   = 3
)

// tier tells the sizes of runs apart: below 4 KiB, 32 KiB, 256 KiB, and the others.
func tier(size int64) int {
	n := 0
	for bound := int64(smallTail); n < topTier && size >= bound; bound *= tailFan {
		n++
	}
	return n
}

// tail is a tail pack: the segment's entries from a place to another.
type tail struct {
	// stem is the name without what follows the dot.
	stem     string
	from, to int
	// size is that of the run in the segment, bytes that of the pack: an object whose base is elsewhere is whole in it.
	size, bytes int64
}

// showEntries makes the first n entries of a segment visible, in a new tail
// that takes in those before it if they fill a tier.
func (j *Journal) showEntries(seg *segment, n int) error {
	if seg.shown >= n {
		return nil
	}
	r, keep := j.run(seg, seg.shown, n), len(seg.tails)
	for t := tier(r.size()); t < topTier; t = tier(r.size()) {
		first := keep
		for first > 0 && tier(seg.tails[first-1].size) <= t {
			first--
		}
		if keep-first < tailFan-1 {
			break
		}
		keep = first
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
	seg.tails, seg.shown, seg.shownEnd = tails, n, r.end
	return nil
}

// replace notes that tails are not needed any more.
func (j *Journal) replace(tails []tail) {
	for _, t := range tails {
		j.oldTails = append(j.oldTails, oldTail{t.stem, t.bytes, j.opts.Clock.Now()})
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
	j.mu.RLock()
	for _, seg := range j.mu.segments {
		for _, t := range seg.tails {
			inUse[t.stem] = true
		}
	}
	j.mu.RUnlock()
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
