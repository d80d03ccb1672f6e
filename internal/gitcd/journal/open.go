// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Open opens the journal of a bare repository, and makes both if the directory
// is empty. It takes the lock, recovers what was acknowledged, and refuses
// (ErrCorrupt) if some of that is gone. The refs of a repository that stock Git
// made are taken over at the first time.
func Open(ctx context.Context, fsys vfs.FS, dir string, o Options) (_ *Journal, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal{fs: fsys, dir: dir, opts: o.withDefaults(), dirty: make(chan struct{}, 1), rolled: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	j.syncs.cond = sync.NewCond(&j.syncs.mu)
	j.mu.changed = make(chan struct{})
	defer func() {
		if err != nil {
			err = errors.Join(err, j.closeFiles())
			if _, addressed := errors.AsType[*Error](err); !addressed {
				err = fmt.Errorf("open journal %s: %w", dir, err)
			}
		}
	}()
	if _, err := inspect(fsys, dir); err != nil {
		return nil, err
	}
	if err := j.takeLock(); err != nil {
		return nil, err
	}
	fresh, err := inspect(fsys, dir) // once more: the holder before may have made it
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := makeRepository(fsys, dir, !j.opts.NoSync); err != nil {
			return nil, err
		}
		if err := writeForeign(fsys, dir, !j.opts.NoSync); err != nil {
			return nil, err
		}
	}
	if err := j.load(); err != nil {
		return nil, err
	}
	take := j.takeOver
	if fresh {
		take = j.adopt
	}
	if err := take(ctx); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	j.stop = stop
	if err := j.startMaintenance(background); err != nil {
		stop()
		j.background.Wait()
		return nil, err
	}
	return j, nil
}

// takeLock makes this the only process that writes.
func (j *Journal) takeLock() error {
	if err := j.fs.MakeDir(path.Join(j.dir, ownDir)); err != nil {
		return err
	}
	name := path.Join(j.dir, lockFile)
	lock, err := j.fs.Open(name, vfs.Lock)
	if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
		return &Error{Op: "open", File: name, Offset: -1, Err: locked, Hint: "one gitcd at a time serves a repository: stop that one first"}
	}
	if err != nil {
		return err
	}
	j.lock = lock
	holder := vfs.Process() + "\n"
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err = lock.WriteAt([]byte(holder), 0)
	return err
}

// load brings the journal to where its last batch left it.
func (j *Journal) load() error {
	from, err := readState(j.fs, j.dir)
	if err != nil {
		return err
	}
	if j.foreign, err = readForeign(j.fs, j.dir); err != nil {
		return err
	}
	tails, unfinished, err := leftovers(j.fs, j.dir, j.foreign)
	if err != nil {
		return err
	}
	for _, name := range unfinished {
		if err := j.fs.Remove(path.Join(j.dir, packDir, name)); err != nil {
			return err
		}
	}
	for _, stem := range tails { // the first publishing removes those that it does not make again
		j.oldTails = append(j.oldTails, oldTail{stem: stem})
	}
	if err := j.loadPacks(); err != nil {
		return err
	}
	if j.loose, err = hasLoose(j.fs, j.dir); err != nil {
		return err
	}
	if err := j.loadSegments(from); err != nil {
		return err
	}
	_, upTo, err := readCheckpoint(j.fs, j.dir)
	if err != nil {
		return err
	}
	if upTo > j.write.seq {
		return &Error{Op: "open", File: path.Join(j.dir, checkpointFile), Offset: -1, Err: fmt.Errorf("it goes up to frame %d, but the last is %d: %w", upTo, j.write.seq, ErrCorrupt), Hint: hintRestore}
	}
	j.checkpoint.upTo = upTo
	return nil
}

// loadSegments replays the open segments: those before from wait for being
// sealed, the others are read on from there.
func (j *Journal) loadSegments(from start) error {
	entries, err := j.fs.List(path.Join(j.dir, journalDir))
	if err != nil {
		return err
	}
	var numbers []uint32
	for _, e := range entries {
		if n, ok := parseSegmentName(e.Name); ok {
			numbers = append(numbers, n)
		} else if strings.HasSuffix(e.Name, ".tmp") {
			if err := j.fs.Remove(path.Join(j.dir, journalDir, e.Name)); err != nil {
				return err
			}
		}
	}
	slices.Sort(numbers)
	r := recovery{start: from}
	if r.hintSegment, r.hintOffset, err = readSynced(j.fs, j.dir); err != nil {
		return err
	}
	for _, n := range numbers {
		if err := j.loadSegment(&r, n, from); err != nil {
			return err
		}
	}
	if len(j.mu.segments) == 0 || j.active().segment < from.segment {
		if err := j.firstSegment(from, numbers); err != nil {
			return err
		}
	}
	j.write.seq, j.write.chain, j.write.refs = r.seq, r.chain, r.refs
	j.mu.written = r.seq
	j.mu.refs = refsOf(r.refs, r.seq)
	j.mu.refChanges = 1 // Git has yet to be told
	j.syncs.seq = r.seq
	return j.settle()
}

func (j *Journal) loadSegment(r *recovery, number uint32, from start) error {
	name := segmentName(j.dir, number)
	f, err := j.fs.Open(name, vfs.Write)
	if err != nil {
		return err
	}
	if number >= from.segment {
		if want := r.segment; number != want {
			return errors.Join(f.Close(), &Error{Op: "recover", File: segmentName(j.dir, want), Offset: -1, Err: fmt.Errorf("segment is gone: %w", ErrCorrupt), Hint: hintRestore})
		}
		seg := newSegment(name, f, r.clone())
		j.mu.segments = append(j.mu.segments, seg)
		err := r.replay(seg)
		seg.ahead.begin(room{}, seg.end)
		r.segment++
		return err
	}
	seg := newSegment(name, f, start{segment: number})
	j.mu.segments = append(j.mu.segments, seg)
	own, err := ownRecovery(seg)
	if err != nil {
		return err
	}
	seg.start = own.clone()
	if err := own.replay(seg); err != nil {
		return err
	}
	if number+1 == from.segment && (own.seq != from.seq || own.chain != from.chain) {
		return &Error{Op: "recover", File: name, Offset: seg.end, Err: fmt.Errorf("it ends with frame %d, not %d: %w", own.seq, from.seq, ErrCorrupt), Hint: hintRestore}
	}
	return nil
}

// ownRecovery replays a segment that waits for being sealed. Everything in it
// was durable when its successor was begun: it is needed for its entries only.
func ownRecovery(seg *segment) (*recovery, error) {
	size, err := seg.file.Size()
	if err != nil {
		return nil, err
	}
	b, err := readBatch(seg.file, pack.HeaderSize, size, nil)
	if errors.Is(err, errTorn) || errors.Is(err, errNoRecord) {
		return nil, &Error{Op: "recover", File: seg.name, Offset: pack.HeaderSize, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
	}
	if err != nil {
		return nil, fmt.Errorf("recover %s: %w", seg.name, err)
	}
	return &recovery{start: start{segment: seg.segment, seq: b.seq - 1, chain: b.chain}, entriesOnly: true}, nil
}

// firstSegment makes the segment to write to, in a journal that has none.
func (j *Journal) firstSegment(from start, have []uint32) error {
	if from.segment != 1 || len(have) > 0 || len(j.mu.packs) > 0 && j.mu.packs[0].segment > 0 {
		return &Error{Op: "open", File: segmentName(j.dir, from.segment), Offset: -1, Err: fmt.Errorf("segment is gone: %w", ErrCorrupt), Hint: hintRestore}
	}
	seg, err := createSegment(j.fs, j.dir, from.clone(), j.newRoom(), !j.opts.NoSync)
	if err != nil {
		return err
	}
	j.mu.segments = append(j.mu.segments, seg)
	return nil
}

// adopt makes the refs that stock Git has left the journal's own, and marks the repository as gitcd's.
func (j *Journal) adopt(ctx context.Context) error {
	if j.write.seq == 0 {
		refs, err := foreignRefs(j.fs, j.dir, false)
		if err != nil {
			return err
		}
		var f Frame
		for name, id := range refs {
			if legalRef(name) {
				f.Refs = append(f.Refs, RefUpdate{Name: name, New: id})
			}
		}
		slices.SortFunc(f.Refs, func(a, b RefUpdate) int { return cmp.Compare(a.Name, b.Name) })
		if len(f.Refs) > 0 {
			if _, err := j.Append(ctx, []Frame{f}, true); err != nil {
				return err
			}
		}
	}
	return vfs.WriteFile(j.fs, path.Join(j.dir, formatFile), []byte(formatVersion), !j.opts.NoSync)
}

// hasLoose says whether there are loose objects.
func hasLoose(fsys vfs.FS, dir string) (bool, error) {
	names, err := list(fsys, path.Join(dir, "objects"))
	if err != nil {
		return false, err
	}
	for name := range names {
		if len(name) == 2 {
			return true, nil
		}
	}
	return false, nil
}

// clone returns a start that shares nothing.
func (s start) clone() start {
	refs := make(map[string]gitobj.ID, len(s.refs))
	maps.Copy(refs, s.refs)
	s.refs = refs
	return s
}
