// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// takeOver makes the journal's own what stock Git did to refs while nobody had
// the journal open: `git update-ref`, `git fetch`, `git branch`. The journal
// never writes a ref as a file of its own, so such a file is somebody's wish,
// unless it is behind: then it is left from before the journal. packed-refs is
// the journal's, and may be behind what the records say; it counts where it is ahead.
func (j *Journal) takeOver(ctx context.Context) error {
	packed, err := foreignRefs(j.fs, j.dir, true)
	if err != nil {
		return err
	}
	loose := map[string]bool{}
	err = looseRefs(j.fs, j.dir, "refs", func(name string, _ gitobj.ID) error {
		loose[name] = true
		return nil
	})
	if err != nil {
		return err
	}
	var f Frame
	for name, id := range packed {
		have := j.write.refs[name]
		if id == have || !strings.HasPrefix(name, "refs/heads/") && !strings.HasPrefix(name, "refs/tags/") {
			continue
		}
		wanted, err := j.wanted(have, id, loose[name])
		if err != nil {
			return fmt.Errorf("take over %s: %w", name, err)
		}
		if wanted {
			f.Refs = append(f.Refs, RefUpdate{Name: name, Old: have, New: id})
		}
	}
	if len(f.Refs) == 0 {
		return nil
	}
	slices.SortFunc(f.Refs, func(a, b RefUpdate) int { return strings.Compare(a.Name, b.Name) })
	_, err = j.Append(ctx, []Frame{f}, true)
	return err
}

// wanted says whether a ref that Git sees is to be in place of the one that the records have.
func (j *Journal) wanted(have, id gitobj.ID, loose bool) (bool, error) {
	if !j.Has(id) {
		return false, nil
	}
	if have.IsZero() {
		return loose, nil
	}
	behind, err := j.reaches(have, id)
	if err != nil || behind || loose {
		return err == nil && !behind, err
	}
	return j.reaches(id, have)
}

// reaches says whether a commit is in the history of another one. Objects that are no commits reach nothing.
func (j *Journal) reaches(from, to gitobj.ID) (bool, error) {
	seen := map[gitobj.ID]bool{from: true}
	for queue := []gitobj.ID{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			return true, nil
		}
		kind, data, err := j.Get(queue[0])
		if errors.Is(err, ErrNotFound) {
			continue // the history is shortened here
		}
		if err != nil {
			return false, err
		}
		if kind != gitobj.KindCommit {
			continue
		}
		commit, err := gitobj.DecodeCommit(data)
		if err != nil {
			return false, fmt.Errorf("read commit %s: %w", queue[0], err)
		}
		for _, p := range commit.Parents {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	return false, nil
}
