// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/repack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Sealed segments are folded into packs that get larger the older they are, so
// that there are few, and an object is copied O(log n) times:
//
//	before   |---- folded ----| folded |sealed|sealed|sealed|sealed|open
//	fold                      \_______________________________/
//	after    |---- folded ----|------ folded ------|open
//
// What is kept is what refs reach, what the checkpoint names, and what newer
// segments name; records are not. A segment is folded once a checkpoint covers
// its records. The steps, each of which can be repeated after a crash; the
// fourth is the one that counts:
//
//	pack    written and synced under another name
//	.keep .idx
//	rename  the pack is there: all it has, others have, too
//	folded  now the others are superseded: read last, and not spoken of
//	later   walked through without them: nothing lacks? they are removed
//
// That last walk is what lets writers go on all the while: one that was told
// by Has that an object is there may name it, though it is about to go.

// Keep yields what the payload of a checkpoint names and its owner will read,
// though no ref may reach it: of blobs just them, of commits and trees also what they reach.
type Keep func(checkpoint []byte, yield func(gitobj.Kind, gitobj.ID)) error

// ErrKeep says that nothing can be dropped: there is a checkpoint, and nobody who knows what it names.
var ErrKeep = errors.New("what the checkpoint names is not known")

// Repacking says how a journal is to be repacked.
type Repacking struct {
	// All folds all there is, not just what is worth it by its size.
	All bool
	// Now removes what was superseded at once: nobody else reads the repository.
	Now bool
	// DryRun changes nothing, and says what would be.
	DryRun bool
}

// Repacked says what a repack came to.
type Repacked struct {
	// Folded are the numbers of packs that were folded, and of what became of them.
	Packs, IntoPacks int
	// Bytes are the lengths of these packs, before and after.
	Bytes, IntoBytes int64
	// Kept and Dropped are numbers of objects; records count as dropped ones.
	Kept, Dropped int
	Took          time.Duration
}

// History is the state of a journal's sealed history.
type History struct {
	// Packs and Bytes are those of all packs that count; Waiting of these are segments not folded yet.
	Packs   int
	Bytes   int64
	Waiting int
	// Superseded packs are still there for those who read them.
	Superseded int
	// Repacks and Saved sum up this process's folds; Last is when the last one ended.
	Repacks int64
	Saved   int64
	Last    time.Time
	// Err is why the last one failed. Nil: it did not.
	Err error
}

// repacking is the journal's state of repacking.
type repacking struct {
	sync.Mutex // held by the one who repacks
	pace       pace

	mu      sync.Mutex
	repacks int64
	saved   int64
	last    time.Time
	err     error
}

// supersededStay is how long packs stay that a fold has replaced: for a git that
// has opened them, and for a writer who believes that an object is there.
const supersededStay = time.Minute

const defaultRepackRate = 8 << 20

// Repack folds packs, if it is worth it, and removes those that were superseded before.
func (j *Journal) Repack(ctx context.Context, o Repacking) (Repacked, error) {
	j.repacking.Lock()
	defer j.repacking.Unlock()
	if err := j.failed(); err != nil {
		return Repacked{}, err
	}
	began := j.opts.Clock.Now()
	j.repacking.pace = pace{clock: j.opts.Clock, rate: j.opts.RepackRate}
	if o.Now {
		j.repacking.pace.rate = -1
	}
	out, err := j.repack(ctx, o)
	out.Took = j.opts.Clock.Since(began)
	j.repacking.mu.Lock()
	defer j.repacking.mu.Unlock()
	if j.repacking.err = err; err != nil {
		return Repacked{}, fmt.Errorf("repack: %w", err)
	}
	if !o.DryRun && out.Packs > 0 {
		j.repacking.repacks++
		j.repacking.saved += out.Bytes - out.IntoBytes
		j.repacking.last = j.opts.Clock.Now()
	}
	return out, nil
}

func (j *Journal) repack(ctx context.Context, o Repacking) (Repacked, error) {
	if !o.DryRun {
		if err := j.dropSuperseded(ctx, o.Now); err != nil {
			return Repacked{}, err
		}
	}
	f, err := j.choose(ctx, o.All)
	if err != nil || f == nil {
		return Repacked{}, err
	}
	out := Repacked{Packs: len(f.inputs)}
	for _, p := range f.inputs {
		out.Bytes += p.size
	}
	res, err := f.fold(ctx, o.DryRun)
	if err != nil {
		return Repacked{}, err
	}
	out.IntoPacks, out.IntoBytes, out.Kept, out.Dropped = 1, res.Size, res.Kept, res.Dropped
	if res.Kept == 0 {
		out.IntoPacks, out.IntoBytes = 0, 0
	}
	if o.DryRun {
		return out, nil
	}
	if done, err := f.install(res); !done || err != nil {
		return Repacked{}, err
	}
	if o.Now {
		return out, j.dropSuperseded(ctx, true)
	}
	return out, nil
}

// History returns the state of the sealed history.
func (j *Journal) History() History {
	j.repacking.mu.Lock()
	h := History{Repacks: j.repacking.repacks, Saved: j.repacking.saved, Last: j.repacking.last, Err: j.repacking.err}
	j.repacking.mu.Unlock()
	j.mu.RLock()
	defer j.mu.RUnlock()
	h.Packs, h.Superseded = len(j.mu.packs), len(j.mu.superseded)
	for _, p := range j.mu.packs {
		h.Bytes += p.size
		if p.segment > 0 {
			h.Waiting++
		}
	}
	return h
}

// RepackEvery repacks, and mends what Git may have done, again and again until
// the context ends or the journal fails. What fails is tried again the next time. It
// is not for a time in which objects are written long before a ref or a record
// names them, as by a clone.
func (j *Journal) RepackEvery(ctx context.Context, interval time.Duration) {
	for j.failed() == nil {
		timer := j.opts.Clock.NewTimer(interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		_, _ = j.Repack(ctx, Repacking{}) // History tells of it
		if err := j.restoreRefs(); err != nil {
			j.publishError.Store(&err)
		}
	}
}

func stemOf(trailer gitobj.ID) string { return "pack-" + trailer.String() }

// foldFile is a pack in the making. It is synced as it grows, so that no sync
// of the journal's has to wait for a large one.
type foldFile struct {
	file    vfs.File
	buf     []byte
	off     int64
	synced  int64
	durable bool
}

const (
	foldTmp  = "pack-fold.pack.tmp"
	foldBuf  = 256 << 10
	foldSync = 2 << 20
)

// Write implements io.Writer.
func (f *foldFile) Write(b []byte) (int, error) {
	if len(f.buf)+len(b) > foldBuf {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	f.buf = append(f.buf, b...)
	return len(b), nil
}

func (f *foldFile) flush() error {
	if _, err := f.file.WriteAt(f.buf, f.off); err != nil {
		return err
	}
	f.off += int64(len(f.buf))
	f.buf = f.buf[:0]
	if !f.durable || f.off < f.synced+foldSync {
		return nil
	}
	f.synced = f.off
	return f.file.Sync()
}

// close makes the file whole and durable.
func (f *foldFile) close() error {
	err := f.flush()
	if err == nil && f.durable {
		err = f.file.Sync()
	}
	return errors.Join(err, f.file.Close())
}

// fold writes the pack under another name, or nowhere.
func (f *fold) fold(ctx context.Context, dry bool) (repack.Result, error) {
	j := f.j
	if dry {
		return repack.Fold(ctx, f.plan, discard{})
	}
	if err := f.discard(); err != nil {
		return repack.Result{}, err
	}
	file, err := j.fs.Open(path.Join(j.dir, packDir, foldTmp), vfs.Create)
	if err != nil {
		return repack.Result{}, err
	}
	out := &foldFile{file: file, durable: !j.opts.NoSync}
	res, err := repack.Fold(ctx, f.plan, out)
	if err = errors.Join(err, out.close()); err != nil {
		return res, errors.Join(err, f.discard())
	}
	return res, nil
}

// discard removes the pack in the making.
func (f *fold) discard() error {
	if err := f.j.fs.Remove(path.Join(f.j.dir, packDir, foldTmp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// discard takes what a dry run writes.
type discard struct{}

// Write implements io.Writer.
func (discard) Write(b []byte) (int, error) { return len(b), nil }

// install puts the pack in place of those that were folded, unless it is the one that was.
func (f *fold) install(res repack.Result) (done bool, err error) {
	if res.Kept == 0 {
		return true, errors.Join(f.discard(), f.exchange(nil))
	}
	same := slices.IndexFunc(f.inputs, func(p *packFile) bool { return p.stem() == stemOf(res.Trailer) })
	switch {
	case same >= 0 && len(f.inputs) == 1, same < 0 && f.taken(stemOf(res.Trailer)):
		return false, f.discard()
	case same >= 0: // there was nothing to be kept beside it
		return true, errors.Join(f.discard(), f.exchange(f.inputs[same]))
	}
	p, err := f.place(res)
	if err != nil {
		return false, err
	}
	return true, f.exchange(p)
}

// taken says whether there is another pack of this name.
func (f *fold) taken(stem string) bool {
	f.j.mu.RLock()
	defer f.j.mu.RUnlock()
	return slices.ContainsFunc(slices.Concat(f.j.mu.packs, f.j.mu.superseded), func(p *packFile) bool { return p.stem() == stem })
}

// place gives the pack its name, and makes that durable. As long as nothing
// speaks of the pack it does no harm, and counts as superseded.
func (f *fold) place(res repack.Result) (*packFile, error) {
	j, durable := f.j, !f.j.opts.NoSync
	stem := path.Join(j.dir, packDir, stemOf(res.Trailer))
	keep := fmt.Sprintf(foldedKeep+" up to segment %d of the journal\n", f.next.segment-1)
	if err := vfs.WriteFile(j.fs, stem+".keep", []byte(keep), durable); err != nil {
		return nil, err
	}
	if err := vfs.WriteFile(j.fs, stem+".idx", pack.AppendIndex(nil, res.Lines, res.Trailer), durable); err != nil {
		return nil, err
	}
	if err := j.fs.Rename(path.Join(j.dir, packDir, foldTmp), stem+".pack"); err != nil {
		return nil, err
	}
	if durable {
		if err := j.fs.SyncDir(path.Join(j.dir, packDir)); err != nil {
			return nil, err
		}
	}
	return openPack(j.fs, stem)
}

// exchange makes a pack, if any, count in place of those that were folded.
func (f *fold) exchange(p *packFile) error {
	j := f.j
	next := folded{start: f.next, stems: slices.Clone(f.staying)}
	if p != nil {
		next.stems = append(next.stems, p.stem())
	}
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	if err := writeFolded(j.fs, j.dir, next, !j.opts.NoSync); err != nil {
		return err // p is known to nobody here: if the file was written after all, the next Open finds it
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.folded = next
	var live []*packFile
	for _, q := range j.mu.packs {
		if !slices.Contains(f.inputs, q) {
			live = append(live, q)
		}
	}
	if p != nil {
		p.folded, p.segment, p.seq = true, 0, 0
		at := slices.IndexFunc(live, func(q *packFile) bool { return q.segment == 0 })
		if at < 0 {
			at = len(live)
		}
		live = slices.Insert(live, at, p)
	}
	j.mu.packs = live
	for _, q := range f.inputs {
		if q != p {
			j.mu.superseded = append(j.mu.superseded, q)
		}
	}
	j.mu.supersededAt = j.opts.Clock.Now()
	return nil
}
