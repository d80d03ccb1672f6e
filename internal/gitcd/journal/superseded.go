// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/repack"
)

// getSuperseded looks into packs that a fold has replaced: a reader may have
// learned of an object before, and a writer may have named it since.
func (j *Journal) getSuperseded(id gitobj.ID) (gitobj.Kind, []byte, error) {
	j.mu.RLock()
	packs := j.mu.superseded
	j.mu.RUnlock()
	for _, p := range packs {
		kind, data, found, err := p.Get(id)
		if err != nil {
			return 0, nil, corruptIn(p.name, err)
		}
		if found {
			return kind, data, nil
		}
	}
	return 0, nil, ErrNotFound
}

// dropSuperseded removes the packs that folds have replaced, once they have
// stayed long enough, and if everything that refs, the checkpoint and newer
// objects reach is there without them. If not, they count again, and the next fold takes them in.
func (j *Journal) dropSuperseded(ctx context.Context, now bool) error {
	j.mu.RLock()
	packs, since := slices.Clone(j.mu.superseded), j.mu.supersededAt
	j.mu.RUnlock()
	if len(packs) == 0 || !now && j.opts.Clock.Since(since) < supersededStay {
		return nil
	}
	plan, err := j.prove()
	if err != nil {
		return err
	}
	err = repack.Prove(ctx, plan)
	if errors.Is(err, repack.ErrMissing) {
		j.restore(packs)
		return nil
	}
	if err != nil {
		return err
	}
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	j.mu.Lock()
	j.mu.superseded = nil
	j.mu.Unlock()
	for _, p := range packs { // a reader may still be at one: its files are closed when the last has left
		if err := removeKept(j.fs, path.Join(j.dir, packDir, p.stem())); err != nil {
			return err
		}
	}
	if j.opts.NoSync {
		return nil
	}
	return j.fs.SyncDir(path.Join(j.dir, packDir))
}

// restore lets superseded packs count again.
func (j *Journal) restore(packs []*packFile) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.superseded = nil
	for _, p := range packs {
		p.segment, p.seq, p.folded = 0, 0, false
	}
	j.mu.packs = append(slices.Clone(j.mu.packs), packs...)
}
