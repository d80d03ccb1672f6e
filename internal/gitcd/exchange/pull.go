// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// resync reads where the upstream is, after a link came up or when the branch
// may not be ours any more (law X4).
func (x *Exchange) resync(ctx context.Context) error {
	if x.known || x.connects == 0 {
		return nil
	}
	call, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	found, err := x.up.ListRefs(call, x.ref, Main)
	if err != nil {
		return fmt.Errorf("read the upstream's refs: %w; check the network and the certificates, writes go on meanwhile", reason(call, err))
	}
	if err := x.judge(ctx, found[x.ref]); err != nil {
		return err
	}
	if x.main = found[Main]; x.main.IsZero() {
		x.joined = x.main // there is none any more, or not yet
	}
	if x.o.MovesMain {
		x.news.tell(Notice{Ref: Main, ID: x.main}) // what was heard before is older
	}
	return nil
}

// judge takes a head of the own branch, as read upstream, for what it is.
func (x *Exchange) judge(ctx context.Context, own gitobj.ID) error {
	if own.IsZero() {
		x.own, x.known = own, true // never pushed, or the upstream has lost it: all is pushed again
		return nil
	}
	// After a restart the store may yet have to make the commit again that was pushed before.
	head, err := x.store.Flush(ctx)
	if err != nil {
		return fmt.Errorf("commit what is written: %w", err)
	}
	ours, err := x.holds(ctx, head, own)
	if err != nil {
		return err
	}
	if !ours {
		return x.lost(ctx, own)
	}
	x.own, x.known = own, true
	x.note(func(s *Status) { s.Pushed = own.String() })
	return nil
}

// holds says whether a commit's history has another one in it.
func (x *Exchange) holds(ctx context.Context, head, id gitobj.ID) (bool, error) {
	switch {
	case head == id:
		return true, nil
	case head.IsZero() || !x.repo.Has(id) || !x.repo.Has(head):
		return false, nil
	}
	return contains(ctx, x.repo, head, id)
}

// contains says whether a commit is in the history of a head.
func contains(ctx context.Context, repo Repository, head, id gitobj.ID) (bool, error) {
	if c, err := commitOf(repo, head); err == nil && slices.Contains(c.Parents, id) {
		return true, nil // main mostly grows by one step: nothing has to be walked
	}
	bases, err := merge.Bases(ctx, repo, head, id)
	if err != nil {
		return false, fmt.Errorf("compare %s with %s: %w", head, id, err)
	}
	return len(bases) == 1 && bases[0] == id, nil
}

// pull brings main home and merges it.
func (x *Exchange) pull(ctx context.Context) error {
	anew := x.using != x.settings.Load() // main may have what a filter left out
	if x.main.IsZero() || x.main == x.joined && !anew || !x.known {
		return nil
	}
	x.note(func(s *Status) { s.Behind = true })
	if err := x.fetch(ctx, x.main); err != nil {
		return err
	}
	if old, err := x.compare(ctx); err != nil || old {
		return err
	}
	if wait, err := x.idles(ctx); err != nil || wait && !anew {
		return err
	}
	if !x.awaited.IsZero() {
		held, err := x.holds(ctx, x.main, x.awaited)
		if err != nil {
			return err
		}
		if !held && x.o.Clock.Now().Before(x.until) {
			return nil // the hub is about to merge what we pushed: main with it has one base with us
		}
		x.awaited = gitobj.Zero
	}
	if err := x.join(ctx, x.main); err != nil {
		return err
	}
	x.heard = time.Time{}
	x.pulse.again()
	if x.joined = x.main; x.awaited.IsZero() {
		x.heldIn = x.own
	}
	main := x.main.String()
	x.note(func(s *Status) { s.Main, s.Behind = main, false })
	return nil
}

// compare notices a main that lost what it had: its history was rewritten, or
// the upstream came back from a backup. What we have of it is then to be pushed
// again. News that were overtaken on their way are only old.
func (x *Exchange) compare(ctx context.Context) (old bool, err error) {
	if x.joined.IsZero() {
		return false, nil
	}
	held, err := x.holds(ctx, x.main, x.joined)
	if err != nil || held {
		return false, err
	}
	call, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	found, err := x.up.ListRefs(call, Main)
	if err != nil {
		return false, fmt.Errorf("read main: %w", reason(call, err))
	}
	if now := found[Main]; now != x.main {
		x.news.tell(Notice{Ref: Main, ID: now}) // the next step looks at that
		return true, nil
	}
	x.o.Log.Warn("main upstream lacks what it had; handing in again what is here", "had", x.joined.String(), "has", x.main.String())
	x.joined = gitobj.Zero
	return false, nil
}

// fetch makes a commit of the upstream's our own.
func (x *Exchange) fetch(ctx context.Context, id gitobj.ID) error {
	was, _ := x.repo.Ref(remoteMain)
	if was == id {
		return nil
	}
	var frame journal.Frame
	if !x.repo.Has(id) {
		came, err := x.bring(ctx, id, x.haves(was))
		if err != nil {
			return err
		}
		frame.Objects = came
	}
	frame.Refs = []journal.RefUpdate{{Name: remoteMain, Old: was, New: id}}
	// Not durable by itself: the merge that follows is, and it is behind this in the journal.
	if _, err := x.repo.Append(ctx, []journal.Frame{frame}, false); err != nil {
		return fmt.Errorf("store main: %w", err)
	}
	now := x.o.Clock.Now()
	x.note(func(s *Status) { s.LastFetch = &now })
	x.news.forget(id)
	return nil
}

// bring returns what leads to a commit of the upstream's and is not here.
func (x *Exchange) bring(ctx context.Context, id gitobj.ID, haves []gitobj.ID) ([]transport.Object, error) {
	if came, ok := x.unpack(ctx, id); ok {
		return came, nil
	}
	call, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	came, err := x.up.Fetch(call, x.repo, []gitobj.ID{id}, haves)
	if err != nil {
		return nil, fmt.Errorf("fetch main: %w", reason(call, err))
	}
	return came, nil
}

// unpack makes a commit of what the upstream's stream brought, if that leads
// there from what is here. It is judged as what is fetched is.
func (x *Exchange) unpack(ctx context.Context, id gitobj.ID) ([]transport.Object, bool) {
	from := slices.IndexFunc(x.steps, func(n Notice) bool { return x.repo.Has(n.From) })
	if from < 0 || x.steps[len(x.steps)-1].ID != id {
		return nil, false
	}
	var all []transport.Object
	var store transport.Objects = x.repo
	for _, step := range x.steps[from:] {
		came, err := transport.Unpack(ctx, store, step.Pack, transport.Limits{}, step.ID)
		if err != nil {
			x.o.Log.Warn("a pack of the upstream's stream is of no use; fetching", "branch", x.o.Branch, "err", err)
			return nil, false
		}
		all = append(all, came...)
		store = transport.Over(x.repo, all)
	}
	return all, true
}

// haves are commits that the upstream is likely to have. Where nothing was
// pushed since the last main, that alone is enough, and all heavens ask the same.
func (x *Exchange) haves(more ...gitobj.ID) []gitobj.ID {
	if !x.joined.IsZero() && x.own == x.heldIn {
		return []gitobj.ID{x.joined}
	}
	var out []gitobj.ID
	for _, id := range append([]gitobj.ID{x.own, x.joined, x.store.Head()}, more...) {
		if !id.IsZero() {
			out = append(out, id)
		}
	}
	return out
}
