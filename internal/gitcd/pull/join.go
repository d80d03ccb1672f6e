// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pull

import (
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// join computes a merge and hands it to the store, which refuses it if keys were written meanwhile.
func (p *Puller) join(ctx context.Context, theirs gitobj.ID) (Result, error) {
	view, err := p.store.MergeView(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("read the store: %w", err)
	}
	out := Result{Theirs: theirs, Head: view.Head, Revision: view.Revision, Relation: merge.TheirsAhead}
	in, err := p.plan(ctx, view, theirs, &out)
	if err != nil || out.Relation <= merge.OursAhead {
		return out, err
	}
	done, err := p.store.Merge(ctx, in)
	if err != nil {
		return out, err
	}
	out.Keys, out.Head, out.Revision = len(in.Changes), done.Head, done.Revision
	return out, nil
}

// plan computes what is to become of the branch, and notes in out how the two heads stand.
func (p *Puller) plan(ctx context.Context, view mvcc.MergeView, theirs gitobj.ID, out *Result) (in mvcc.Merge, err error) {
	policy := p.o.Settings.Policy(p.o.Branch, p.o.As, merge.MainBranch)
	whole := view.Head.IsZero() // it begins as a clone does, with all that theirs has
	if !view.Head.IsZero() && !p.o.NoFastForward {
		if whole, err = p.history.Forward(ctx, view.Head, theirs, policy); err != nil {
			return in, fmt.Errorf("compare %s with %s: %w", view.Head, theirs, err)
		}
	}
	if whole {
		return p.forward(ctx, view, theirs)
	}
	m, err := p.history.Merge(ctx, view.Head, theirs, policy)
	if err != nil {
		return in, err
	}
	out.Relation, out.Conflicts = m.Relation, len(m.Conflicts)
	switch {
	case m.Relation <= merge.OursAhead:
		return in, nil
	case m.Relation == merge.Unrelated && !p.o.Unrelated:
		return in, fmt.Errorf("%w: allow it if both are to be in one branch", ErrUnrelated)
	}
	return p.merge(view, theirs, m)
}

// forward has the branch move to theirs.
func (p *Puller) forward(ctx context.Context, view mvcc.MergeView, theirs gitobj.ID) (mvcc.Merge, error) {
	in := mvcc.Merge{Theirs: theirs, Base: view.Head, Whole: true, Seen: view.Revision}
	var trees [2]gitobj.ID
	for i, id := range []gitobj.ID{view.Head, theirs} {
		if id.IsZero() {
			continue
		}
		commit, err := p.commit(id)
		if err != nil {
			return in, err
		}
		trees[i] = commit.Tree
	}
	err := treeedit.Diff(ctx, p.repo, trees[0], trees[1], func(key string, _, blob gitobj.ID) error {
		change := mvcc.KeyChange{Key: key, Expect: view.ModRevision(key), Delete: blob.IsZero()}
		if !change.Delete {
			_, content, err := p.repo.Get(blob)
			if err != nil {
				return fmt.Errorf("read %q: %w", key, err)
			}
			if change.Value, err = layout.Value(content); err != nil {
				return fmt.Errorf("read %q: %w", key, err)
			}
		}
		in.Changes = append(in.Changes, change)
		return nil
	})
	if err != nil {
		return in, fmt.Errorf("read what %s changes: %w", theirs, err)
	}
	return in, nil
}

func (p *Puller) commit(id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := p.repo.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s", id, kind)
	}
	return gitobj.DecodeCommit(data)
}

// merge joins the two, key by key.
func (p *Puller) merge(view mvcc.MergeView, theirs gitobj.ID, m merge.Merged) (in mvcc.Merge, err error) {
	in.Theirs = theirs
	if len(m.Bases) > 0 && !p.o.NoFastForward {
		in.Base = m.Bases[0]
	}
	for _, c := range m.Changes {
		value, err := c.Content(p.repo)
		if err != nil {
			return in, err
		}
		in.Changes = append(in.Changes, mvcc.KeyChange{Key: c.Key, Expect: view.ModRevision(c.Key), Value: value, Delete: c.Delete})
	}
	commit, err := p.commit(theirs)
	if err != nil {
		return in, err
	}
	from := p.o.Name + "/" + p.o.From
	in.Message, err = exchange.Message("merge "+from+" into "+p.o.Branch, m, merge.Occasion{
		Who: p.o.Branch, When: commit.Committer.When, Bases: m.Bases, Ours: view.Head, Theirs: theirs, OurBranch: p.o.Branch, TheirBranch: p.o.As,
	})
	return in, err
}
