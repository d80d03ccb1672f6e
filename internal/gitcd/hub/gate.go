// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// withheld is what the gates said in one pass.
type withheld struct {
	branches []refused
	counts   []gate.Count
	entries  []*Quarantined // as they are once the pass is durable
	gone     []*Quarantined // those that are then no more
	unlisted []*Quarantined // those that there is no room for
	totals   map[string]int64
}

// refused is what a gate kept back of one branch.
type refused struct {
	branch     string
	head, main gitobj.ID // the branch's, and main's as it was
	by         gitobj.ID // the commit that takes it back
	refusals   []gate.Refusal
}

// gatedName returns the branch by whose gate a ref is judged: what a writer
// that was fenced left behind is judged as its branch.
func gatedName(ref string) string {
	branch := branchOf(ref)
	if rest, ok := strings.CutPrefix(branch, fenced); ok {
		if name, ok := cutLast(rest); ok {
			return name
		}
	}
	return branch
}

// gated returns the head to merge in place of a branch's head: itself if all
// that it would change in main is inside the branch's gate. If not, it is a
// commit on top of it that has main's value for each key that is outside. As
// main then holds the branch, the branch gets main's value when it merges main.
func (h *Hub) gated(ctx context.Context, f *fold, ref string, head gitobj.ID) (gitobj.ID, error) {
	name := gatedName(ref)
	if h.keeper.judge.Open(name) {
		return head, nil
	}
	m, err := h.plan(ctx, f, ref, head)
	if err != nil {
		return gitobj.Zero, fmt.Errorf("judge %s: %w", name, err)
	}
	if m.Relation == merge.Equal || m.Relation == merge.OursAhead || len(m.Changes) == 0 {
		return head, nil
	}
	ours, err := commitOf(f, f.main)
	if err != nil {
		return gitobj.Zero, err
	}
	verdict, err := h.judge(ctx, name, ours.Tree, m.Changes)
	if err != nil {
		return gitobj.Zero, err
	}
	f.withheld.counts = append(f.withheld.counts, verdict.Counts...)
	if len(verdict.Refusals) == 0 {
		return head, nil
	}
	by, err := h.takeBack(ctx, f, name, ours, head, verdict.Refusals)
	if err != nil {
		return gitobj.Zero, err
	}
	f.withheld.branches = append(f.withheld.branches, refused{branch: name, head: head, main: f.lasting(), by: by, refusals: verdict.Refusals})
	return by, nil
}

// lasting is main as the pass has it, or as it was before a commit that the pass may yet replace.
func (f *fold) lasting() gitobj.ID {
	if f.main == f.joint.id {
		return f.joint.base
	}
	return f.main
}

// judge asks the branch's gate, and then what people rejected before.
func (h *Hub) judge(ctx context.Context, branch string, main gitobj.ID, changes []merge.Change) (gate.Verdict, error) {
	asked := gate.Asked{
		Branch: branch, Main: main, Now: h.o.Clock.Now(),
		Changes: make([]gate.Change, 0, len(changes)),
		Waits:   func(gate, rate string) bool { return h.keeper.waits(branch, gate, rate) },
	}
	var rejected []gate.Refusal
	for _, c := range changes {
		change := gate.Change{Key: c.Key, Old: c.Ours, New: c.Blob, Value: c.Value}
		if e := h.keeper.rejected(h.view, branch, change); e != nil {
			rejected = append(rejected, gate.Refusal{Change: change, Verb: e.Verb, Gate: e.Gate, Kind: e.Kind, Rate: e.Rate, Reason: e.Reason})
			continue
		}
		asked.Changes = append(asked.Changes, change)
	}
	verdict, err := h.keeper.judge.Judge(ctx, asked)
	verdict.Refusals = append(verdict.Refusals, rejected...)
	return verdict, err
}

// planned is the last merge that was planned.
type planned struct {
	main, head gitobj.ID
	merged     merge.Merged
}

// plan plans the merge of a branch into main: once for the gate, and the merge itself finds it done.
func (h *Hub) plan(ctx context.Context, f *fold, ref string, head gitobj.ID) (merge.Merged, error) {
	if f.planned.main == f.main && f.planned.head == head && !head.IsZero() {
		return f.planned.merged, nil
	}
	h.view.fold = f
	m, err := h.history.Merge(ctx, f.main, head, h.policy(branchOf(ref)))
	if err == nil {
		f.planned = planned{f.main, head, m}
	}
	return m, err
}

// takeBack makes the commit that has main's values for what is refused. It is
// a function of main and the branch's head (law H5).
func (h *Hub) takeBack(ctx context.Context, f *fold, branch string, ours gitobj.Commit, head gitobj.ID, refusals []gate.Refusal) (gitobj.ID, error) {
	theirs, err := commitOf(f, head)
	if err != nil {
		return gitobj.Zero, err
	}
	editor := treeedit.New(f, theirs.Tree)
	for _, r := range refusals {
		if r.Change.Old.IsZero() {
			err = editor.Delete(ctx, r.Change.Key)
		} else {
			err = editor.Set(ctx, r.Change.Key, r.Change.Old)
		}
		if err != nil {
			return gitobj.Zero, fmt.Errorf("take back %q of %s: %w", r.Change.Key, branch, err)
		}
	}
	tree, err := editor.Write(ctx, f.emit)
	if err != nil {
		return gitobj.Zero, fmt.Errorf("take back what %s may not change: %w", branch, err)
	}
	message := fmt.Sprintf("take back %d changes of %s\n\nGate: %s\nMain: %s\nQuarantine: %s%s\n", len(refusals), branch, refusals[0].Gate, f.lasting(), quarantine, branch)
	o := encode(tree, []gitobj.ID{head}, latest(ours, theirs), message)
	f.add(o)
	return o.ID, nil
}
