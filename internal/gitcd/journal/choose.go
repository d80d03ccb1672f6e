// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/repack"
)

// fold is one fold, from the choice of the packs on.
type fold struct {
	j *Journal
	// inputs are folded, the oldest first. staying are the stems of the folded packs that are not.
	inputs  []*packFile
	staying []string
	// next is the state before the first segment that is not folded.
	next start
	plan repack.Plan
}

const (
	// foldSegments is how many sealed segments make a fold worth while.
	foldSegments = 4
	// foldObjects bounds the memory of a fold in the background.
	foldObjects = 2 << 20
)

// scene is what a fold looks at: one moment of the journal.
type scene struct {
	checkpoint []byte
	upTo       uint64
	outside    []gitobj.ID // what refs that Git has and the journal does not name
	refs       map[string]gitobj.ID
	folded     folded
	shallow    map[gitobj.ID]bool
	segments   []*segment
	counts     []int // of entries of the segments

	sealed  []*packFile // own segments, by number
	history []*packFile // folded packs, the oldest first
	foreign []*packFile // those that were there before
	strays  []*packFile // those that others have made since
}

// look takes a scene. All refs in it are durable: none goes back to before it in a crash.
func (j *Journal) look() (*scene, error) {
	payload, upTo, err := j.LastCheckpoint()
	if err != nil {
		return nil, err
	}
	if payload != nil && j.opts.Keep == nil {
		return nil, ErrKeep
	}
	if err := j.syncTo(j.Seq()); err != nil {
		return nil, err
	}
	outside, err := j.outside()
	if err != nil {
		return nil, err
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	s := &scene{checkpoint: payload, upTo: upTo, outside: outside, refs: j.refsLocked(""), folded: j.mu.folded, shallow: j.mu.shallow, segments: slices.Clone(j.mu.segments)}
	for _, seg := range s.segments {
		s.counts = append(s.counts, len(seg.entries))
	}
	for _, p := range slices.Backward(j.mu.packs) {
		switch {
		case p.segment > 0:
			s.sealed = append(s.sealed, p)
		case p.folded:
			s.history = append(s.history, p)
		case j.foreign[p.stem()]:
			s.foreign = append(s.foreign, p)
		default:
			s.strays = append(s.strays, p)
		}
	}
	return s, nil
}

// mayFold says whether there are enough segments, or packs of others, for it to be worth a look.
func (j *Journal) mayFold() bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	segments := 0
	for _, p := range j.mu.packs {
		switch {
		case p.segment > 0:
			segments++
		case !p.folded && !j.foreign[p.stem()]:
			return true
		}
	}
	return segments >= foldSegments
}

// choose decides what to fold; nil: nothing is worth it.
func (j *Journal) choose(ctx context.Context, all bool) (*fold, error) {
	if !all && !j.mayFold() {
		return nil, nil //nolint:nilnil // nothing to do is not an error
	}
	s, err := j.look()
	if err != nil {
		return nil, err
	}
	covered, err := s.covered()
	if err != nil {
		return nil, err
	}
	if !all && len(covered) < foldSegments && len(s.strays) == 0 {
		return nil, nil //nolint:nilnil // nothing to do is not an error
	}
	covered, count := fitting(covered, all)
	f := &fold{j: j, next: s.folded.clone()}
	older := f.take(s, count, all)
	if err := f.replay(ctx, covered); err != nil {
		return nil, err
	}
	f.inputs = append(f.inputs, covered...)
	if len(f.inputs) == 0 {
		return nil, nil //nolint:nilnil // nothing to do is not an error
	}
	f.plan, err = j.planOf(s, f.inputs, older)
	return f, err
}

// take takes the packs that are folded with segments of count objects: those
// of others, and of the folded ones, from the youngest on, each that is not twice as
// large as what is folded with it. It returns those that stay.
func (f *fold) take(s *scene, count int, all bool) (older []*packFile) {
	var strays []*packFile
	for _, p := range s.strays {
		if p.size <= repack.MaxInput {
			strays = append(strays, p)
			count += p.Index.Count()
		}
	}
	older = slices.Concat(s.foreign, s.history)
	for len(older) > 0 {
		p := older[len(older)-1]
		n := p.Index.Count()
		if p.size > repack.MaxInput || !all && (n >= 2*count || count+n > foldObjects) {
			break
		}
		older, count = older[:len(older)-1], count+n
		f.inputs = append(f.inputs, p)
	}
	slices.Reverse(f.inputs)
	f.inputs = append(f.inputs, strays...)
	for _, p := range older {
		if p.folded {
			f.staying = append(f.staying, p.stem())
		}
	}
	return older
}

// covered returns the sealed segments whose records nobody will ask for: the
// checkpoint covers them, or there are none, as in a hub's journal.
func (s *scene) covered() ([]*packFile, error) {
	number := s.folded.segment
	var out []*packFile
	for i, p := range s.sealed {
		if p.segment != number {
			break
		}
		number++
		last, ok := s.lastOf(i)
		if !ok {
			break
		}
		if last > s.upTo {
			bare, err := recordless(p, s.upTo)
			if err != nil {
				return nil, err
			}
			if !bare {
				break
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// lastOf returns the last frame of a sealed segment: the one before its successor's first.
func (s *scene) lastOf(i int) (uint64, bool) {
	number := s.sealed[i].segment + 1
	if i+1 < len(s.sealed) {
		return s.sealed[i+1].seq - 1, s.sealed[i+1].segment == number
	}
	for _, seg := range s.segments {
		if seg.segment == number {
			return seg.seq, true
		}
	}
	return 0, false
}

// recordless says whether the frames of a sealed segment behind one have no records.
func recordless(p *packFile, after uint64) (bool, error) {
	some := errors.New("a record")
	end := p.size - pack.TrailerSize
	err := batches(p, func(b *batch) error {
		for i, f := range b.frames {
			if b.seq+uint64(i) > after && f.Record != nil {
				return some
			}
		}
		return nil
	}, end)
	if errors.Is(err, some) {
		return false, nil
	}
	return err == nil, err
}

// batches yields the batches of a sealed segment.
func batches(p *packFile, yield func(*batch) error, end int64) error {
	for off := int64(pack.HeaderSize); off < end; {
		b, err := readBatch(p.data, off, end, nil)
		if errors.Is(err, errTorn) || errors.Is(err, errNoRecord) {
			return &Error{Op: "read", File: p.name, Offset: off, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
		}
		if err != nil {
			return err
		}
		if err := yield(b); err != nil {
			return err
		}
		off = b.end
	}
	return nil
}

// fitting returns the first of the segments that fit into one fold, and how many objects they have.
func fitting(segments []*packFile, all bool) ([]*packFile, int) {
	count := 0
	for i, p := range segments {
		if n := p.Index.Count(); i > 0 && !all && count+n > foldObjects {
			return segments[:i], count
		}
		count += p.Index.Count()
	}
	return segments, count
}

// replay checks the segments that are to be folded, and finds out the state behind them.
func (f *fold) replay(ctx context.Context, segments []*packFile) error {
	r := recovery{start: f.next}
	for _, p := range segments {
		if err := r.replaySealed(newSegment(p.name, p.data, r.clone()), p.size-pack.TrailerSize); err != nil {
			return err
		}
		r.segment++
		if err := f.j.repacking.pace.take(ctx, int(p.size)); err != nil {
			return err
		}
	}
	f.next = r.start
	return nil
}

// planOf says what is to be kept of the inputs, which may be none. older are
// packs that stay, and what they have names nothing newer.
func (j *Journal) planOf(s *scene, inputs, older []*packFile) (repack.Plan, error) {
	plan := repack.Plan{Around: around{j: j, settled: older}, Shallow: s.shallow, Pace: j.repacking.pace.take}
	for _, p := range inputs {
		plan.Inputs = append(plan.Inputs, repack.Input{Name: p.name, Index: p.Index, Data: p.data, Size: p.size, Folded: p.folded})
	}
	plan.Roots.Objects = s.outside
	for _, id := range s.refs {
		plan.Roots.Objects = append(plan.Roots.Objects, id)
	}
	slices.SortFunc(plan.Roots.Objects, gitobj.ID.Compare)
	if s.checkpoint != nil {
		if err := j.opts.Keep(s.checkpoint, plan.Roots.Keep); err != nil {
			return plan, fmt.Errorf("read what the checkpoint names: %w", err)
		}
	}
	for _, p := range s.sealed {
		if slices.Contains(inputs, p) {
			continue
		}
		plan.Inputs = append(plan.Inputs, repack.Input{Name: p.name, Index: p.Index, Data: p.data, Size: p.size, Stays: true})
		if err := batches(p, func(b *batch) error {
			for _, l := range b.lines {
				plan.Roots.Keep(l.kind, l.id)
			}
			return nil
		}, p.size-pack.TrailerSize); err != nil {
			return plan, err
		}
	}
	for i, seg := range s.segments {
		for _, e := range j.run(seg, 0, s.counts[i]).entries {
			if e.kind != 0 {
				plan.Roots.Keep(e.kind, e.id)
			}
		}
	}
	return plan, nil
}

// prove says what must be there without the superseded packs.
func (j *Journal) prove() (repack.Plan, error) {
	s, err := j.look()
	if err != nil {
		return repack.Plan{}, err
	}
	return j.planOf(s, nil, slices.Concat(s.foreign, s.history))
}

// around is the journal around the inputs of a fold.
type around struct {
	j       *Journal
	settled []*packFile
}

// Where implements repack.Around.
func (a around) Where(id gitobj.ID) repack.Where {
	for _, p := range a.settled {
		if _, found, err := p.Index.Find(id); err == nil && found {
			return repack.Settled
		}
	}
	if a.j.Has(id) {
		return repack.Newer
	}
	return repack.Nowhere
}

// Get implements repack.Around.
func (a around) Get(id gitobj.ID) (gitobj.Kind, []byte, error) { return a.j.Get(id) }
