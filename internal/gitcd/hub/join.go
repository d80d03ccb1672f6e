// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// errNoMain says that there is nothing yet to merge into.
var errNoMain = errors.New("there is no main yet")

// mainBranch is main's name in policies and records.
const mainBranch = merge.MainBranch

// policy decides conflicts between main and a branch. The heaven that merges
// main uses the same one with the names swapped.
func (h *Hub) policy(branch string) merge.Policy {
	return h.o.Settings.Policy(mainBranch, branch, mainBranch)
}

// fold joins one branch to main (law H4).
func (h *Hub) fold(ctx context.Context, f *fold, name string, head gitobj.ID) error {
	branch := branchOf(name)
	if f.main.IsZero() {
		if h.o.Genesis != "" && !h.begins(branch) {
			return fmt.Errorf("main begins with %s, which has not been pushed: %w", h.o.Genesis, errNoMain)
		}
		f.main = head
		return nil
	}
	pushed := head
	head, err := h.gated(ctx, f, name, pushed)
	if err != nil {
		return err
	}
	m, err := h.plan(ctx, f, name, head)
	if err != nil {
		return fmt.Errorf("merge %s into main: %w", branch, err)
	}
	switch m.Relation {
	case merge.Equal, merge.OursAhead: // main has it all, or a filter holds the rest
		if head == pushed {
			return nil
		}
		// The branch hears what the gate took back with main, which has to hold it for that.
	case merge.TheirsAhead: // the branch has all of main
		f.main = head
		return nil
	case merge.Diverged, merge.Unrelated:
	}
	if err := h.join(ctx, f, m, branch, head); err != nil {
		return fmt.Errorf("merge %s into main: %w", branch, err)
	}
	return nil
}

// join makes the commit of a merge, or has the one that joins other branches join this one, too.
func (h *Hub) join(ctx context.Context, f *fold, m merge.Merged, branch string, head gitobj.ID) error {
	ours, err := commitOf(f, f.main)
	if err != nil {
		return err
	}
	theirs, err := commitOf(f, head)
	if err != nil {
		return err
	}
	h.editor.Reset(ours.Tree)
	tree, err := merge.Apply(ctx, h.editor, m.Changes, f.emit)
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		f.joint = joint{} // the records name the commit that is ours
	}
	if f.main != f.joint.id || len(f.joint.heads) == mostHeads {
		f.joint = joint{base: f.main}
		f.merges++
	}
	who, was := latest(ours, theirs), f.main
	f.replace(f.joint.with(branch, head, m.Trailer()).commit(tree, who))
	occasion := merge.Occasion{
		Who: who.Name, When: who.When,
		Bases: m.Bases, Ours: was, Theirs: head, OurBranch: mainBranch, TheirBranch: branch,
	}
	for _, c := range m.Conflicts {
		key, content, err := merge.Record(c, occasion)
		if err != nil {
			return err
		}
		f.records = append(f.records, record{key: key, content: content})
	}
	if len(m.Conflicts) > 0 {
		f.joint = joint{}
	}
	return nil
}

// emit keeps an object that an editor made.
func (f *fold) emit(o treeedit.Object) error {
	f.add(transport.Object(o))
	return nil
}

func commitOf(r transport.Objects, id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := r.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s", id, kind)
	}
	return gitobj.DecodeCommit(data)
}
