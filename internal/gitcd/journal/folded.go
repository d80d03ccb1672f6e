// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// folded says what became of the sealed segments before one: their objects are
// in a few packs that folds made. Its file is what counts: with it, the packs
// that were folded are superseded; without it, the new one is.
//
//	folded  segment 4, seq 8, chain 4, refs as in state; uvarint number of packs; each: uvarint length, stem
type folded struct {
	start
	// stems are the packs, the oldest first.
	stems []string
}

const (
	foldedFile  = journalDir + "/folded"
	foldedMagic = "gitcdf\x00\x01"
	// foldedKeep begins the .keep file of a pack that a fold made.
	foldedKeep = "gitcd: history"
	// ownKeep begins each of gitcd's .keep files.
	ownKeep = "gitcd: "
)

func writeFolded(fsys vfs.FS, dir string, f folded, durable bool) error {
	body := appendStart(nil, f.start)
	body = binary.AppendUvarint(body, uint64(len(f.stems)))
	for _, stem := range f.stems {
		body = binary.AppendUvarint(body, uint64(len(stem)))
		body = append(body, stem...)
	}
	return vfs.WriteFile(fsys, path.Join(dir, foldedFile), sealSmall(foldedMagic, body), durable)
}

// readFolded returns what was folded: nothing, if there is no file.
func readFolded(fsys vfs.FS, dir string) (folded, error) {
	f := folded{start: firstStart()}
	name := path.Join(dir, foldedFile)
	body, err := readSmall(fsys, name, foldedMagic)
	if err != nil || body == nil {
		return f, err
	}
	bad := &Error{Op: "read", File: name, Offset: 0, Err: ErrCorrupt, Hint: hintRestore}
	s, rest, ok := parseStart(body)
	if !ok {
		return f, bad
	}
	f.start = s
	count, size := binary.Uvarint(rest)
	if size <= 0 || count > uint64(len(rest)) {
		return f, bad
	}
	rest = rest[size:]
	for range count {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)) || len(rest) < size+int(n) { //nolint:gosec // at most len(rest)
			return f, bad
		}
		end := size + int(n) //nolint:gosec // at most len(rest)
		f.stems = append(f.stems, string(rest[size:end]))
		rest = rest[end:]
	}
	return f, nil
}

// divide tells the packs that count from those that were superseded.
func (f *folded) divide(fsys vfs.FS, dir string, packs []*packFile, foreign map[string]bool) (live, old []*packFile, err error) {
	have := map[string]bool{}
	for _, p := range packs {
		stem := p.stem()
		have[stem] = true
		switch {
		case foreign[stem]:
		case slices.Contains(f.stems, stem):
			p.folded, p.segment, p.seq = true, 0, 0
		case p.segment > 0 && p.segment < f.segment:
			old = append(old, p)
			continue
		case p.segment == 0:
			keep, err := readKeep(fsys, dir, stem)
			if err != nil {
				return nil, nil, err
			}
			if strings.HasPrefix(keep, foldedKeep) { // an earlier fold's, or one whose file was not written
				old = append(old, p)
				continue
			}
		}
		live = append(live, p)
	}
	for _, stem := range f.stems {
		if !have[stem] {
			name := path.Join(dir, packDir, stem+".pack")
			return nil, nil, &Error{Op: "open", File: name, Offset: -1, Err: fmt.Errorf("pack is gone: %w", ErrCorrupt), Hint: hintRestore}
		}
	}
	slices.SortStableFunc(live, func(a, b *packFile) int { // segments first, then folded ones, the youngest before the others
		return cmp.Or(cmp.Compare(b.segment, a.segment), cmp.Compare(slices.Index(f.stems, b.stem()), slices.Index(f.stems, a.stem())))
	})
	return live, old, nil
}

// stem returns the pack's name without directory and suffix.
func (p *packFile) stem() string { return strings.TrimSuffix(path.Base(p.name), ".pack") }

// readKeep returns why a pack is kept, nothing if it is not.
func readKeep(fsys vfs.FS, dir, stem string) (string, error) {
	text, err := vfs.ReadFile(fsys, path.Join(dir, packDir, stem+".keep"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return string(text), nil
}

// sweep removes what a crash has left of gitcd's own packs: those whose removal
// was begun, and indexes whose pack did not come.
func sweep(fsys vfs.FS, dir string, foreign map[string]bool) error {
	names, err := list(fsys, path.Join(dir, packDir))
	if err != nil {
		return err
	}
	for name := range names {
		stem, ok := strings.CutSuffix(name, ".keep")
		if !ok || foreign[stem] || names[stem+".pack"] && names[stem+".idx"] {
			continue
		}
		keep, err := readKeep(fsys, dir, stem)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(keep, ownKeep) {
			continue
		}
		if err := removeKept(fsys, path.Join(dir, packDir, stem)); err != nil {
			return err
		}
	}
	return nil
}

// removeKept removes a pack of gitcd's own. Without its index neither Git nor gitcd sees it.
func removeKept(fsys vfs.FS, stem string) error {
	if err := removePack(fsys, stem); err != nil {
		return err
	}
	for _, suffix := range []string{".keep", ".bitmap", ".rev", ".mtimes"} { // Git's own notes on a pack of its go with it
		if err := fsys.Remove(stem + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// foldedUpTo returns the last frame that is in a folded segment.
func (j *Journal) foldedUpTo() uint64 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.mu.folded.seq
}

// divide sorts out the packs of a check.
func (c *checker) divide(foreign map[string]bool) (err error) {
	if c.folded, err = readFolded(c.fs, c.dir); err != nil {
		return err
	}
	if c.shallow, err = readShallow(c.fs, c.dir); err != nil {
		return err
	}
	live, old, err := c.folded.divide(c.fs, c.dir, c.packs, foreign)
	if err == nil {
		c.packs, c.old = live, old
	}
	return err
}

// loadPacks opens the packs, those that count and those that were superseded.
func (j *Journal) loadPacks() error {
	if err := sweep(j.fs, j.dir, j.foreign); err != nil {
		return err
	}
	packs, err := openPacks(j.fs, j.dir, j.foreign)
	if err != nil {
		return err
	}
	j.mu.packs = packs // closed by whoever opens, should something fail
	if j.mu.folded, err = readFolded(j.fs, j.dir); err != nil {
		return err
	}
	if j.mu.shallow, err = readShallow(j.fs, j.dir); err != nil {
		return err
	}
	live, old, err := j.mu.folded.divide(j.fs, j.dir, packs, j.foreign)
	if err != nil {
		return err
	}
	j.mu.packs, j.mu.superseded, j.mu.supersededAt = live, old, j.opts.Clock.Now()
	return nil
}

// eachPack checks all packs. Nothing may need those that a fold has replaced.
func (c *checker) eachPack() error {
	for i, p := range slices.Concat(c.old, c.packs) {
		if i == len(c.old) {
			clear(c.kinds)
		}
		if err := c.pack(p); err != nil {
			return err
		}
	}
	return nil
}
