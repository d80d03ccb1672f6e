// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/pjbgf/sha1cd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Check reads everything and reports each broken law by its number, with the
// place. It changes nothing and takes no lock. Run it on a journal that is not
// open, or expect the last batches of an open one to be missing. The error is
// about what could not be read at all.
func Check(fsys vfs.FS, dir string, report func(law, where string)) error {
	c := &checker{fs: fsys, dir: dir, report: mending(report), kinds: map[gitobj.ID]gitobj.Kind{}}
	if err := c.check(); err != nil {
		return fmt.Errorf("check journal: %w", errors.Join(err, c.close()))
	}
	return c.close()
}

type checker struct {
	fs     vfs.FS
	dir    string
	report func(law, where string)
	packs  []*packFile
	// old are packs that a fold has replaced: they must be sound, and nothing may need them.
	old    []*packFile
	folded folded
	// shallow are the commits where history ends.
	shallow map[gitobj.ID]bool
	segs    []*segment
	loose   bool
	// kinds has every object that was found, whole.
	kinds map[gitobj.ID]gitobj.Kind
}

func (c *checker) close() error {
	var errs []error
	for _, p := range slices.Concat(c.packs, c.old) {
		errs = append(errs, p.close())
	}
	for _, s := range c.segs {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

func (c *checker) check() error {
	if err := c.format(); err != nil {
		return err
	}
	from, err := readState(c.fs, c.dir)
	if errors.Is(err, ErrCorrupt) {
		c.report("J3", err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	others, err := readForeign(c.fs, c.dir)
	if err != nil {
		return err
	}
	if c.packs, err = openPacks(c.fs, c.dir, others); err != nil {
		return c.damage("J3", err)
	}
	if err := c.divide(others); err != nil {
		return c.damage("J3", err)
	}
	if c.loose, err = hasLoose(c.fs, c.dir); err != nil {
		return err
	}
	if err := c.eachPack(); err != nil {
		return err
	}
	r, err := c.sealed(from)
	if err != nil {
		return err
	}
	if err := c.open(r, from); err != nil {
		return err
	}
	if _, upTo, err := readCheckpoint(c.fs, c.dir); err != nil {
		if err := c.damage("J3", err); err != nil {
			return err
		}
	} else if upTo > r.seq {
		c.report("J1", fmt.Sprintf("%s goes up to frame %d, but the last is %d", checkpointFile, upTo, r.seq))
	}
	if err := looseRefs(c.fs, c.dir, "refs", func(name string, id gitobj.ID) error {
		if want, ok := r.refs[name]; ok && want != id {
			c.report("J7", fmt.Sprintf("%s: the file says %s, and Git believes it; the records say %s", name, id, want))
		}
		return nil
	}); err != nil {
		return err
	}
	return c.reachable(r.refs)
}

// damage reports an error about damage; any other is returned.
func (c *checker) damage(law string, err error) error {
	switch {
	case errors.Is(err, errParts):
		law = "J2"
	case errors.Is(err, errChain):
		law = "J4"
	case !errors.Is(err, ErrCorrupt) && !errors.Is(err, pack.ErrCorrupt) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	c.report(law, err.Error())
	return nil
}

// pack checks a pack's and an index's sums, and that each object is what its id says.
func (c *checker) pack(p *packFile) error {
	want, err := p.Index.Verify()
	if err != nil {
		return c.damage("J9", fmt.Errorf("%s: %w", p.name, err))
	}
	sum := sha1cd.New()
	if _, err := io.Copy(sum, io.NewSectionReader(p.data, 0, p.size-pack.TrailerSize)); err != nil {
		return err
	}
	trailer := make([]byte, pack.TrailerSize)
	if err := readAt(p.data, trailer, p.size-pack.TrailerSize); err != nil {
		return err
	}
	if got := sum.Sum(nil); !bytes.Equal(got, trailer) || !bytes.Equal(got, want[:]) {
		c.report("J3", fmt.Sprintf("%s: SHA-1 is %x, its trailer %x, its index's %s", p.name, got, trailer, want))
	}
	entries, err := p.Index.Entries()
	if err != nil {
		return c.damage("J9", fmt.Errorf("%s: %w", p.name, err))
	}
	for _, e := range entries {
		kind, data, err := p.At(e.Offset)
		if err := c.object(fmt.Sprintf("%s at byte %d", p.name, e.Offset), e.ID, kind, data, err); err != nil {
			return err
		}
	}
	return nil
}

// object checks J9 of one object.
func (c *checker) object(where string, id gitobj.ID, kind gitobj.Kind, data []byte, err error) error {
	if err != nil {
		return c.damage("J9", fmt.Errorf("%s: object %s: %w", where, id, err))
	}
	if got := gitobj.Hash(kind, data); got != id {
		c.report("J9", fmt.Sprintf("%s: object %s has the hash %s", where, id, got))
		return nil
	}
	c.kinds[id] = kind
	return nil
}

// sealed replays the sealed segments from the first that is not folded, up to
// where the state says that reading starts.
func (c *checker) sealed(from start) (*recovery, error) {
	var own []*packFile
	for _, p := range c.packs {
		if p.segment > 0 && p.segment < from.segment {
			own = append(own, p)
		}
	}
	slices.Reverse(own) // the newest was first
	r := &recovery{start: c.folded.clone(), readOnly: true}
	for _, p := range own {
		if p.segment != r.segment {
			c.report("J3", fmt.Sprintf("%s: segment %d follows segment %d: those between are gone", p.name, p.segment, r.segment-1))
			*r = recovery{start: from.clone(), readOnly: true}
			return r, nil
		}
		seg := newSegment(p.name, p.data, r.clone())
		if err := r.replaySealed(seg, p.size-pack.TrailerSize); err != nil {
			if err := c.damage("J3", err); err != nil {
				return nil, err
			}
			*r = recovery{start: from.clone(), readOnly: true}
			return r, nil
		}
		r.segment++
	}
	if r.segment == from.segment && (r.seq != from.seq || r.chain != from.chain || !equalRefs(r.refs, from.refs)) {
		c.report("J7", fmt.Sprintf("%s says frame %d and %d refs, the segments frame %d and %d refs", stateFile, from.seq, len(from.refs), r.seq, len(r.refs)))
	}
	*r = recovery{start: from.clone(), readOnly: true}
	return r, nil
}

func equalRefs(a, b map[string]gitobj.ID) bool {
	for name, id := range a {
		if b[name] != id {
			return false
		}
	}
	return len(a) == len(b)
}

// open replays the open segments and checks their objects.
func (c *checker) open(r *recovery, from start) error {
	entries, err := c.fs.List(path.Join(c.dir, journalDir))
	if err != nil {
		return err
	}
	if r.hintSegment, r.hintOffset, err = readSynced(c.fs, c.dir); err != nil {
		return err
	}
	for _, e := range entries {
		number, ok := parseSegmentName(e.Name)
		if !ok {
			continue
		}
		seg, err := c.segment(path.Join(c.dir, journalDir, e.Name), number)
		if err != nil {
			return err
		}
		own := r
		if number < from.segment { // on the way to being sealed
			if own, err = ownRecovery(seg); err != nil {
				return c.damage("J3", err)
			}
			own.readOnly = true
		} else if number != r.segment {
			c.report("J3", fmt.Sprintf("%s: segment %d is gone", e.Name, r.segment))
			return nil
		}
		seg.start = own.clone()
		if err := own.replay(seg); err != nil {
			return c.damage("J3", err)
		}
		own.segment++
		if err := c.objects(seg); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) segment(name string, number uint32) (*segment, error) {
	f, err := c.fs.Open(name, vfs.Read)
	if err != nil {
		return nil, err
	}
	seg := newSegment(name, f, start{segment: number})
	c.segs = append(c.segs, seg)
	return seg, nil
}

// objects checks the objects of an open segment.
func (c *checker) objects(seg *segment) error {
	for _, e := range seg.entries {
		if e.kind == 0 {
			continue
		}
		kind, data, err := pack.Resolve(seg.file, int64(e.off), seg.end, nil)
		if err := c.object(fmt.Sprintf("%s at byte %d", seg.name, e.off), e.id, kind, data, err); err != nil {
			return err
		}
	}
	return nil
}
