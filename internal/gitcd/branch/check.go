// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"cmp"
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
// which the branches cannot be read, happens in memory. The options are those
// that a branch, by the name of its ref, is served with; nil: none. The name is
// empty if the directory has only one branch and does not tell which. A branch whose keys lie
// elsewhere than they say is passed over: mvcc.ErrOtherKeys comes after all the others.
func Check(ctx context.Context, fsys vfs.FS, dir string, options func(branch string) mvcc.Options, report func(law, where string)) error {
	broken := false
	if err := journal.Check(fsys, dir, func(law, where string) { broken = true; report(law, where) }); err != nil || broken {
		return err
	}
	j, err := journal.Open(ctx, vfs.NewOverlay(fsys), dir, journal.Options{PublishInterval: -1, Keep: Keep})
	if err != nil {
		return err
	}
	if options == nil {
		options = func(string) mvcc.Options { return mvcc.Options{} }
	}
	err = check(ctx, j, options, report)
	return errors.Join(err, j.Close(context.WithoutCancel(ctx)))
}

func check(ctx context.Context, j *journal.Journal, options func(branch string) mvcc.Options, report func(law, where string)) error {
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
	var elsewhere []error
	for n, name := range names {
		l := log{j: j, m: m, n: n}
		if m.alone {
			l.m = nil
		}
		o := options(name)
		o.Branch = name
		head, err := mvcc.Check(ctx, l, o, func(law, where string) {
			if name != "" {
				where = name + ": " + where
			}
			report(law, where)
		})
		if errors.Is(err, mvcc.ErrOtherKeys) {
			elsewhere = append(elsewhere, fmt.Errorf("branch %s: %w", cmp.Or(name, "of the records"), err))
			continue
		}
		if err != nil {
			return err
		}
		if !head.IsZero() && !shows(j, name, head) {
			report("M7", fmt.Sprintf("the records end with commit %s, and no branch is there; let the exchange fence it, or restore the directory", head))
		}
	}
	return errors.Join(elsewhere...)
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
