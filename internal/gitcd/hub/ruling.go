// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// rule carries out what people decided on quarantine: Run alone moves main.
func (h *Hub) rule(ctx context.Context) {
	h.mu.Lock()
	waiting := h.rulings
	h.rulings = nil
	h.mu.Unlock()
	for _, r := range waiting {
		select {
		case <-r.left:
			continue // nobody waits for it any more, and it was never promised
		default:
		}
		out, err := h.carryOut(ctx, r)
		r.done <- ruled{out, err}
	}
}

// carryOut makes one decision true, whole or not at all.
func (h *Hub) carryOut(ctx context.Context, r ruling) (Ruled, error) {
	chosen, err := h.keeper.choose(r.what)
	if err != nil {
		return Ruled{}, err
	}
	was, _ := h.repo.Ref(Main)
	f := &fold{store: h.view.repo, made: map[gitobj.ID]transport.Object{}, main: was}
	files := map[string]*file{}
	changes := fileOf(files, r.what.Branch)
	if r.what.Action == Approve {
		if err := h.admit(ctx, f, r, chosen); err != nil {
			return Ruled{}, fmt.Errorf("approve changes of %s: %w", r.what.Branch, err)
		}
		changes.gone, f.withheld.gone = chosen, chosen
	} else {
		for _, q := range chosen {
			no := *q
			no.State, no.By, no.Why = Rejected, r.by, r.what.Reason
			changes.set(&no, nil)
			f.withheld.entries = append(f.withheld.entries, &no)
		}
	}
	kept, err := h.write(ctx, f, files, r.trailers())
	if err != nil {
		return Ruled{}, err
	}
	moves := kept
	if f.main != was {
		moves = append(slices.Clip(kept), move{Name: Main, Old: was, New: f.main})
	}
	if err := h.commit(ctx, f.objects, moves); err != nil {
		return Ruled{}, fmt.Errorf("%s changes of %s: %w", r.what.Action, r.what.Branch, err)
	}
	h.lineage.grow(f.main, nil)
	h.keeper.moved(kept)
	out := Ruled{Entries: chosen, Main: f.main.String()}
	if r.what.Action == Reject {
		out.Entries = f.withheld.entries
	}
	h.mu.Lock()
	for _, q := range f.withheld.entries {
		h.keeper.put(q)
	}
	for _, q := range f.withheld.gone {
		h.keeper.drop(q)
	}
	h.mu.Unlock()
	for _, q := range chosen {
		if q.Kind == gate.Held && !h.keeper.waits(q.Branch, q.Gate, q.Rate) {
			h.keeper.meter.Reset(q.Branch, q.Gate, q.Rate)
		}
	}
	told := map[string]gitobj.ID{}
	for _, m := range moves {
		told[m.Name] = m.New
	}
	h.board.post(told)
	return out, nil
}

// choose finds the entries that a decision is about.
func (k *keeper) choose(r Ruling) ([]*Quarantined, error) {
	entries := k.entries[r.Branch]
	var out []*Quarantined
	if r.All {
		for _, q := range entries {
			if q.State == Waiting {
				out = append(out, q)
			}
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("nothing of %s waits: %w", r.Branch, ErrNotQuarantined)
		}
	}
	for _, key := range r.Keys {
		q := entries[key]
		if q == nil {
			return nil, errNotQuarantined(r.Branch, key)
		}
		if !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, oldestFirst)
	return out, nil
}

// trailers say in Git who decided, and why.
func (r ruling) trailers() string {
	verb := "Approved-By"
	if r.what.Action == Reject {
		verb = "Rejected-By"
	}
	out := verb + ": " + r.by + "\n"
	if r.what.Reason != "" {
		out += "Reason: " + r.what.Reason + "\n"
	}
	return out
}

// admit brings approved changes into main: merged with what main has become
// since, where it stands against what was approved it yields.
func (h *Hub) admit(ctx context.Context, f *fold, r ruling, chosen []*Quarantined) error {
	main, err := commitOf(f, f.main)
	if err != nil {
		return err
	}
	// What is made here only to be compared is not stored.
	scratch := &fold{store: f, made: map[gitobj.ID]transport.Object{}}
	with := func(value func(*Quarantined) *gitobj.ID) (gitobj.ID, error) {
		e := treeedit.New(scratch, main.Tree)
		for _, q := range chosen {
			if strings.ContainsRune(q.Key, '\ufffd') {
				return gitobj.Zero, fmt.Errorf("key %q is not text: write it with stock Git", q.Key)
			}
			if blob := value(q); blob == nil {
				err = e.Delete(ctx, q.Key)
			} else {
				err = e.Set(ctx, q.Key, *blob)
			}
			if err != nil {
				return gitobj.Zero, err
			}
		}
		return e.Write(ctx, scratch.emit)
	}
	base, err := with(func(q *Quarantined) *gitobj.ID { return q.Old })
	if err != nil {
		return err
	}
	theirs, err := with(func(q *Quarantined) *gitobj.ID { return q.New })
	if err != nil {
		return err
	}
	p := h.policy(r.what.Branch)
	p.Owner = func(string, string) string { return r.what.Branch } // a person has decided for it
	planned, err := merge.Plan(ctx, scratch, base, main.Tree, theirs, p)
	if err != nil || len(planned.Changes) == 0 {
		return err
	}
	tree, err := merge.Apply(ctx, treeedit.New(f, main.Tree), planned.Changes, f.emit)
	if err != nil {
		return err
	}
	who := latest(main, main)
	author := gitobj.Signature{Name: r.by, Email: "quarantine@trishanku.org", When: time.Unix(h.o.Clock.Now().Unix(), 0).UTC()}
	var message strings.Builder
	fmt.Fprintf(&message, "approve %d changes of %s\n\n", len(chosen), r.what.Branch)
	for _, q := range chosen[:min(len(chosen), mostListed)] {
		fmt.Fprintf(&message, "%s %s\n", q.Verb, q.Key)
	}
	fmt.Fprintf(&message, "\nQuarantine: %s%s\n%s", quarantine, r.what.Branch, r.trailers())
	c := gitobj.Commit{Tree: tree, Parents: []gitobj.ID{f.main}, Author: author, Committer: who, Message: message.String()}
	data := c.Encode()
	o := transport.Object{Kind: gitobj.KindCommit, ID: gitobj.Hash(gitobj.KindCommit, data), Data: data}
	f.add(o)
	f.main = o.ID
	return nil
}
