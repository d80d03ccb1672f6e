// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"context"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Check reports each law of the journal and of its branches that does not hold
// in a directory that nobody serves. It changes nothing: recovery, without
// which the branches cannot be read, happens in memory.
func Check(ctx context.Context, fsys vfs.FS, dir string, o mvcc.Options, report func(law, where string)) error {
	broken := false
	if err := journal.Check(fsys, dir, func(law, where string) { broken = true; report(law, where) }); err != nil || broken {
		return err
	}
	j, err := journal.Open(ctx, vfs.NewOverlay(fsys), dir, journal.Options{PublishInterval: -1, Keep: Keep})
	if err != nil {
		return err
	}
	err = check(ctx, j, o, report)
	return errors.Join(err, j.Close(context.WithoutCancel(ctx)))
}

func check(ctx context.Context, j *journal.Journal, o mvcc.Options, report func(law, where string)) error {
	t, err := readTable(j)
	if err != nil {
		report("M6", err.Error())
		return nil
	}
	names := []string{""}
	for n, e := range t {
		if n == 0 {
			names = nil
		}
		names = append(names, e.name)
	}
	m, err := newMux(j, names)
	if err != nil {
		report("M6", err.Error())
		return nil
	}
	for n, name := range names {
		l := log{j: j, m: m, n: n}
		if m.alone {
			l.m = nil
		}
		o.Branch = name
		head, err := mvcc.Check(ctx, l, o, func(law, where string) {
			if name != "" {
				where = name + ": " + where
			}
			report(law, where)
		})
		if err != nil {
			return err
		}
		if !head.IsZero() && !shows(j, name, head) {
			report("M7", fmt.Sprintf("the records end with commit %s, and no branch is there; let the exchange fence it, or restore the directory", head))
		}
	}
	return nil
}

// shows says whether a branch, or any if its name is not known, is at a commit, or one step further.
func shows(j *journal.Journal, name string, head gitobj.ID) bool {
	for ref, id := range j.Refs("refs/heads/") {
		if name != "" && ref != name {
			continue
		}
		if id == head {
			return true
		}
		_, data, err := j.Get(id)
		if err != nil {
			continue
		}
		commit, err := gitobj.DecodeCommit(data)
		if err == nil && len(commit.Parents) == 1 && commit.Parents[0] == head {
			return true
		}
	}
	return false
}
