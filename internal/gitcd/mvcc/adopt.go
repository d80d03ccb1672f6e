// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// adopt starts a new line of revisions above one from a commit: what is known
// of another writer's line is of no use to those who ask by revision.
func (r *recovery) adopt(ctx context.Context, head gitobj.ID, above int64) error {
	if err := r.nothingOpen(head); err != nil {
		return err
	}
	first := r.state.number == 0
	fresh := state{view: view{index: newIndex(), rev: max(1, above)}, leases: r.state.leases, number: r.state.number, time: r.state.time}
	for _, l := range fresh.leases.list() {
		fresh.leases.revoke(l.ID)
	}
	r.state, r.window, r.uncommitted, r.head, r.entered = fresh, window{}, nil, head, session{}
	r.committed = place{batch: fresh.number, txn: math.MaxInt32}
	r.keys = r.store.keysText()
	clear(r.committer.dirty)
	var past []gitobj.ID // trees, the oldest first
	if !head.IsZero() {
		history := 0
		if first {
			history = r.store.o.Start.History
		}
		var err error
		if past, err = r.past(head, history); err != nil {
			return err
		}
	}
	if err := r.begin(ctx, past, first); err != nil {
		return fmt.Errorf("read the tree of %s: %w", head, err)
	}
	if len(past) > 1 { // of what is no key's, the head's is told of
		err := treeedit.WalkAll(ctx, r.store.log, past[len(past)-1], func(string, gitobj.ID) error { return nil }, r.unserved)
		if err != nil {
			return fmt.Errorf("read the tree of %s: %w", head, err)
		}
	}
	for i := 1; i < len(past); i++ {
		if err := r.differ(ctx, past[i-1], past[i]); err != nil {
			return fmt.Errorf("read the history of %s: %w", head, err)
		}
	}
	return r.save(ctx)
}

// begin gives each key of the first tree a revision. Older ones are compacted.
func (r *recovery) begin(ctx context.Context, past []gitobj.ID, first bool) error {
	type file struct {
		key  string
		blob gitobj.ID
	}
	var files []file
	if len(past) > 0 {
		other := r.unserved
		if len(past) > 1 {
			other = func(string) error { return nil }
		}
		err := treeedit.WalkAll(ctx, r.store.log, past[0], func(tree string, blob gitobj.ID) error {
			if key, ok := r.store.keyOf(tree); ok {
				files = append(files, file{key: key, blob: blob})
			}
			return nil
		}, other)
		if err != nil {
			return err
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.key, b.key) })
	if len(files) > 0 || r.store.o.Epoch > 1 {
		r.state.rev = max(r.state.rev, r.store.o.Epoch<<40)
	}
	if least := r.store.o.Start.Revision; first && least > 1 {
		if len(files) > 0 {
			least--
		}
		r.state.rev = max(r.state.rev, least)
	}
	for _, f := range files {
		rev := r.state.rev + 1
		r.state.apply(&op{kind: opPut, key: f.key, mod: rev, create: rev, ver: 1, blob: f.blob, size: -1})
	}
	if r.state.rev > 1 {
		r.state.compacted = r.state.rev
	}
	return nil
}

func (r *recovery) unserved(path string) error {
	if r.store.o.Unserved != nil {
		r.store.o.Unserved(path)
	}
	return nil
}

// past returns the trees of a commit and of some before it, along first parents, the oldest first.
func (r *recovery) past(head gitobj.ID, history int) ([]gitobj.ID, error) {
	var trees []gitobj.ID
	for id := head; ; {
		commit, err := r.committer.commitOf(id)
		if err != nil {
			return nil, err
		}
		trees = append(trees, commit.Tree)
		if len(trees) > history {
			break
		}
		if len(commit.Parents) == 0 {
			trees = append(trees, treeedit.EmptyTree)
			break
		}
		id = commit.Parents[0]
	}
	slices.Reverse(trees)
	return trees, nil
}

// differ gives each key that differs between two trees a revision.
func (r *recovery) differ(ctx context.Context, from, to gitobj.ID) error {
	type change struct {
		key  string
		blob gitobj.ID
	}
	var changes []change
	err := treeedit.Diff(ctx, r.store.log, from, to, func(tree string, _, blob gitobj.ID) error {
		if key, ok := r.store.keyOf(tree); ok {
			changes = append(changes, change{key: key, blob: blob})
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.key, b.key) })
	for _, c := range changes {
		rev := r.state.rev + 1
		was := r.state.get(c.key)
		o := op{kind: opPut, key: c.key, mod: rev, create: rev, ver: 1, blob: c.blob, size: -1}
		switch {
		case c.blob.IsZero() && was == nil:
			continue
		case c.blob.IsZero():
			o = op{kind: opDelete, key: c.key, mod: rev}
		case was != nil:
			o.create, o.ver = was.create, was.ver+1
		}
		r.op(&o)
	}
	return nil
}

// follow goes on from a head that others have put on ours while nobody served
// the branch: each key that they changed gets a revision. A fenced branch is not
// followed: who moved it is its writer.
func (r *recovery) follow(ctx context.Context, head gitobj.ID) error {
	if r.store.o.Epoch > 0 {
		return fmt.Errorf("%s is at %s, but the op records end at %s: %w; let the exchange fence it and open it with a higher epoch",
			r.store.o.Branch, head, r.head, ErrForeignHead)
	}
	ahead, err := r.ahead(head)
	if err != nil {
		return err
	}
	if !ahead {
		return fmt.Errorf("%s is at %s, but the op records end at %s, which is not in its history: %w; put the branch back with "+
			"git update-ref, or bring the two together with git merge",
			r.store.o.Branch, head, r.head, ErrForeignHead)
	}
	if err := r.nothingOpen(head); err != nil {
		return err
	}
	was, err := r.committer.commitOf(r.head)
	if err != nil {
		return err
	}
	is, err := r.committer.commitOf(head)
	if err != nil {
		return err
	}
	if err := r.differ(ctx, was.Tree, is.Tree); err != nil {
		return fmt.Errorf("read what %s has changed: %w", head, err)
	}
	r.head, r.uncommitted, r.entered = head, nil, r.state.session
	r.committed = place{batch: r.state.number, txn: math.MaxInt32}
	clear(r.committer.dirty)
	return r.save(ctx)
}

// ahead says whether our head is in the history of another one.
func (r *recovery) ahead(head gitobj.ID) (bool, error) {
	if head.IsZero() || r.head.IsZero() {
		return false, nil
	}
	seen := map[gitobj.ID]bool{head: true}
	for queue := []gitobj.ID{head}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == r.head {
			return true, nil
		}
		commit, err := r.committer.commitOf(queue[0])
		if err != nil && queue[0] == head {
			return false, err
		}
		if err != nil {
			continue // the history is shortened here
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

// nothingOpen refuses to leave behind what is acknowledged and in no commit.
func (r *recovery) nothingOpen(head gitobj.ID) error {
	open := uncommitted{full: r.committer.full, batched: len(r.committer.dirty) > 0}
	for _, b := range r.uncommitted {
		for i := range b.record.txns {
			open.follow(&b.record.txns[i])
		}
	}
	if !open.any() {
		return nil
	}
	return fmt.Errorf("%s is at %s, but writes after %s are acknowledged and not committed: %w; serve it once more as it was, "+
		"so that they are, before it is moved or its keys get other places", r.store.o.Branch, head, r.head, ErrForeignHead)
}
