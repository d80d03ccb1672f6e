// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// An operator may run git in the directory. Its configuration keeps Git from
// removing anything; what Git can still do is put loose objects into a pack, and
// write packed-refs anew from what it read a moment ago. Both are mended here.

// rescanPause is how often packs are looked for that Git may have made.
const rescanPause = time.Second

// rescanning is when that was last done.
type rescanning struct {
	sync.Mutex
	last time.Time
}

// getElsewhere finds an object that was loose when the journal was opened, and
// that Git has packed since.
func (j *Journal) getElsewhere(id gitobj.ID) (gitobj.Kind, []byte, error) {
	found, err := j.rescan()
	if err != nil {
		return 0, nil, err
	}
	for _, p := range found {
		kind, data, ok, err := p.Get(id)
		if err != nil {
			return 0, nil, corruptIn(p.name, err)
		}
		if ok {
			return kind, data, nil
		}
	}
	return j.getSuperseded(id)
}

// rescan adds the packs that came since the journal was opened, and returns them.
func (j *Journal) rescan() ([]*packFile, error) {
	j.rescanning.Lock()
	defer j.rescanning.Unlock()
	now := j.opts.Clock.Now()
	if now.Sub(j.rescanning.last) < rescanPause {
		return nil, nil
	}
	j.rescanning.last = now
	names, err := list(j.fs, path.Join(j.dir, packDir))
	if err != nil {
		return nil, err
	}
	j.mu.RLock()
	for _, p := range j.mu.packs {
		delete(names, p.stem()+".idx")
	}
	for _, p := range j.mu.superseded {
		delete(names, p.stem()+".idx")
	}
	j.mu.RUnlock()
	var found []*packFile
	for name := range names {
		stem, ok := strings.CutSuffix(name, ".idx")
		if !ok || !names[stem+".pack"] || strings.HasPrefix(stem, tailPrefix) {
			continue
		}
		if keep, err := readKeep(j.fs, j.dir, stem); err != nil || strings.HasPrefix(keep, ownKeep) {
			continue // on its way to being known
		}
		p, err := openPack(j.fs, path.Join(j.dir, packDir, stem))
		if err != nil {
			return nil, err
		}
		p.segment, p.seq = 0, 0
		found = append(found, p)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.packs = append(slices.Clip(j.mu.packs), found...)
	return found, nil
}

// restoreRefs tells Git of the refs again, if a git pack-refs has written what it had read before the last change.
func (j *Journal) restoreRefs() error {
	j.maintenance.Lock()
	defer j.maintenance.Unlock()
	data, err := vfs.ReadFile(j.fs, path.Join(j.dir, packedRefsFile))
	if err != nil {
		return fmt.Errorf("compare packed-refs: %w", err)
	}
	v := j.view()
	if v.refChanges != j.shownRefs || samePackedRefs(data, v.refs) {
		return nil
	}
	if err := vfs.WriteFile(j.fs, path.Join(j.dir, packedRefsFile), packedRefs(v.refs), false); err != nil {
		return fmt.Errorf("restore packed-refs: %w", err)
	}
	return nil
}

// samePackedRefs says whether a packed-refs file, ours or Git's, has these refs and no other.
func samePackedRefs(data []byte, refs map[string]gitobj.ID) bool {
	n := 0
	for line := range bytes.Lines(data) {
		hex, name, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok || hex[0] == '#' || hex[0] == '^' {
			continue
		}
		if id, err := gitobj.ParseID(hex); err != nil || refs[name] != id {
			return false
		}
		n++
	}
	return n == len(refs)
}

// outside returns what refs name that Git has written and the journal does not
// know yet, such as a tag: the next Open may take them over, so nothing of theirs is dropped.
func (j *Journal) outside() ([]gitobj.ID, error) {
	refs, err := foreignRefs(j.fs, j.dir, true)
	if err != nil {
		return nil, fmt.Errorf("read Git's refs: %w", err)
	}
	known := j.Refs("")
	var out []gitobj.ID
	for name, id := range refs {
		if known[name] == id {
			continue
		}
		if _, _, err := j.get(id); errors.Is(err, ErrNotFound) {
			continue // of no use to Git either
		} else if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}
