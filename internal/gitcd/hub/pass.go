// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// fold is the work of one pass: main as it grows, and what it grew by.
type fold struct {
	store    transport.Objects // the repository, and what this pass made
	made     map[gitobj.ID]transport.Object
	objects  []transport.Object
	main     gitobj.ID
	records  []record // conflicts met or reported
	filed    []record // those of them that were not on record
	merges   int64
	held     map[string]gitobj.ID // ref -> head that main holds by now
	joint    joint
	withheld withheld
	planned  planned
}

// Get reads what this pass made, or the repository.
func (f *fold) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if o, ok := f.made[id]; ok {
		return o.Kind, o.Data, nil
	}
	return f.store.Get(id)
}

// Has looks where Get does.
func (f *fold) Has(id gitobj.ID) bool {
	_, ok := f.made[id]
	return ok || f.store.Has(id)
}

// add keeps an object that this pass made.
func (f *fold) add(o transport.Object) {
	if !f.Has(o.ID) {
		f.made[o.ID] = o
		f.objects = append(f.objects, o)
	}
}

// pass merges the branches that wait for it into main, and says whether one
// must be tried again. It fails if nothing can be stored any more.
func (h *Hub) pass(ctx context.Context) (again bool, err error) {
	names, records := h.take()
	if len(names) == 0 {
		return false, nil
	}
	was, _ := h.repo.Ref(Main)
	f := &fold{store: h.view.repo, made: map[gitobj.ID]transport.Object{}, main: was, records: records, held: map[string]gitobj.ID{}}
	failed := map[string]error{}
	for _, name := range names {
		head, ok := h.repo.Ref(name)
		if !ok {
			continue
		}
		if err := h.fold(ctx, f, name, head); err != nil {
			failed[name] = err // main is as it was before; an object more does no harm
			continue
		}
		f.held[name] = head
	}
	err = h.publish(ctx, f, was)
	again = h.settle(names, failed, f, len(records), err)
	if dead(err) {
		return false, err
	}
	return again, nil
}

// dead says whether an error means that the repository takes nothing any more.
func dead(err error) bool {
	return errors.Is(err, journal.ErrFailed) || errors.Is(err, journal.ErrClosed)
}

// take empties the list of waiting branches, in the order of their names but
// for genesis, and that of conflicts which the heavens reported.
func (h *Hub) take() ([]string, []record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := slices.Sorted(maps.Keys(h.pending))
	if i := slices.Index(names, heads+h.o.Genesis); i > 0 { // main may begin with it
		names = append(append([]string{names[i]}, names[:i]...), names[i+1:]...)
	}
	clear(h.pending)
	clear(h.patient)
	h.waiting = time.Time{}
	records := h.reported
	h.reported = nil
	return names, records
}

// publish makes a pass durable, then tells of it (law H3).
func (h *Hub) publish(ctx context.Context, f *fold, was gitobj.ID) error {
	var moves []transport.Command
	if f.main != was {
		moves = append(moves, transport.Command{Name: Main, Old: was, New: f.main})
	}
	if len(f.records) > 0 {
		move, err := h.keep(ctx, f)
		if err != nil {
			return fmt.Errorf("record conflicts: %w", err)
		}
		if move.New != move.Old {
			moves = append(moves, move)
		}
	}
	kept, err := h.quarantined(ctx, f, was)
	if err != nil {
		return fmt.Errorf("file quarantine: %w", err)
	}
	moves = append(moves, kept...)
	if len(moves) == 0 {
		h.lineage.grow(f.main, f.held)
		return nil
	}
	if err := h.commit(ctx, f.objects, moves); err != nil {
		return fmt.Errorf("commit main: %w", err)
	}
	h.lineage.grow(f.main, f.held)
	h.keeper.moved(kept)
	told := map[string]gitobj.ID{}
	for _, m := range moves {
		told[m.Name] = m.New
	}
	h.board.post(told)
	return nil
}

// settle notes how a pass went, and says whether a branch must be tried again.
// The first of its records were reports.
func (h *Hub) settle(names []string, failed map[string]error, f *fold, reports int, err error) (again bool) {
	now := h.o.Clock.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.merged.passes++
	h.merged.lastErr = ""
	for _, name := range names {
		state := h.branches[name]
		state.lastErr = ""
		if why := errors.Join(failed[name], err); why != nil {
			state.lastErr = why.Error()
			h.pending[name] = struct{}{}
			h.o.Log.Error("branch is not merged and will be tried again", "branch", branchOf(name), "err", why)
		}
		h.branches[name] = state
	}
	if err != nil {
		h.merged.lastErr = err.Error()
		h.reported = append(f.records[:reports:reports], h.reported...)
		return true
	}
	h.merged.commits += f.merges
	h.merged.conflicts += int64(len(f.filed))
	h.tally.add(f.filed)
	h.keptLocked(&f.withheld)
	h.merged.lastMerge = now
	return len(failed) > 0
}
