// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// errNotOurs says that the forge's repository has another history (law F6).
var errNotOurs = errors.New("the repository at the forge has a history that is not this cluster's: give the URL of an empty repository, or of this cluster's own")

// look lists the forge's branches, and takes in what others pushed.
func (m *Mirror) look(ctx context.Context) error {
	theirs, err := m.list(ctx)
	if err != nil {
		return err
	}
	ours, seen := branches(m.repo), m.seen()
	var foreigners []stand
	lost := false
	for _, name := range names(ours, theirs, seen) {
		s := stand{name: name, ours: ours[name], theirs: theirs[name], seen: seen[name]}
		v, gone, err := m.judge(ctx, s)
		if err != nil {
			return err
		}
		if gone {
			lost = true
			m.tellLost(s)
		}
		if v == foreign {
			foreigners = append(foreigners, s)
		}
	}
	came, err := m.fetch(ctx, foreigners)
	if err != nil {
		return err
	}
	if err := m.own(ctx, ours, theirs, seen); err != nil {
		return err
	}
	for _, s := range came {
		gone, err := m.takeIn(ctx, s)
		if err != nil {
			return err
		}
		lost = lost || gone
	}
	if err := m.remember(ctx, theirs, m.seen()); err != nil { // what was taken in is seen by now
		return err
	}
	oldest := time.Time{}
	if lost {
		if oldest, err = m.oldest(ctx, ours, theirs); err != nil {
			return err
		}
	}
	m.theirs, m.known = theirs, true
	m.ledger.confirmed(theirs, oldest)
	m.lookAt = m.o.Clock.Now().Add(m.o.Poll/2 + time.Duration(m.o.Chance()*float64(m.o.Poll)))
	return nil
}

// list asks the forge for its branches.
func (m *Mirror) list(ctx context.Context) (map[string]gitobj.ID, error) {
	call, cancel := within(ctx, m.o.Clock, m.o.Timeout)
	defer cancel()
	refs, err := m.forge.ListRefs(call, heads)
	if err != nil {
		return nil, fmt.Errorf("look at the forge: %w; check the network, the URL and the credentials, heavens go on meanwhile", reason(call, err))
	}
	theirs := make(map[string]gitobj.ID, len(refs))
	for ref, id := range refs {
		theirs[strings.TrimPrefix(ref, heads)] = id
	}
	now := m.o.Clock.Now()
	m.note(func(s *Status) { s.Connected, s.LastLook = true, timeOf(now) })
	return theirs, nil
}

// seen returns what the forge was last seen to have.
func (m *Mirror) seen() map[string]gitobj.ID { // branch -> head
	out := map[string]gitobj.ID{}
	for ref, id := range m.repo.Refs(Remote) {
		out[strings.TrimPrefix(ref, Remote)] = id
	}
	return out
}

func names(lists ...map[string]gitobj.ID) []string {
	all := map[string]struct{}{}
	for _, m := range lists {
		for name := range m {
			all[name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// own makes sure that the repository at the forge is this cluster's: that it
// was before, that it is empty, that it has history in common with ours, or that
// heavens have begun there and we have not (law F6).
func (m *Mirror) own(ctx context.Context, ours, theirs, seen map[string]gitobj.ID) error {
	if len(seen) > 0 || len(theirs) == 0 {
		return nil
	}
	for name, id := range theirs {
		if m.sure[name] == id || len(ours) == 0 && name != main && merged(name) {
			return nil
		}
		if !m.repo.Has(id) {
			continue // not a name of ours: it was not fetched
		}
		related, err := m.related(ctx, ours[main], id)
		if err != nil || related {
			return err
		}
	}
	return errNotOurs
}

// fetch brings what others pushed, branch by branch, and returns those that
// came. One that must not be taken in is told of, and is in the way of no other.
func (m *Mirror) fetch(ctx context.Context, foreign []stand) (came []stand, err error) {
	for _, s := range foreign {
		if b, is := m.barred[s.name]; is && b.id == s.theirs {
			continue
		}
		delete(m.barred, s.name)
		if err := m.fetchOne(ctx, s); errors.Is(err, transport.ErrUnsafe) || errors.Is(err, transport.ErrLimit) {
			m.bar(s, err)
			continue
		} else if err != nil {
			return nil, err
		}
		came = append(came, s)
	}
	return came, nil
}

func (m *Mirror) fetchOne(ctx context.Context, s stand) error {
	if m.repo.Has(s.theirs) {
		return nil
	}
	var haves []gitobj.ID
	for _, id := range []gitobj.ID{s.seen, s.ours} {
		if !id.IsZero() {
			haves = append(haves, id)
		}
	}
	call, cancel := within(ctx, m.o.Clock, m.o.Timeout)
	defer cancel()
	objects, err := m.forge.Fetch(call, m.repo, []gitobj.ID{s.theirs}, haves)
	if err != nil {
		return fmt.Errorf("fetch what others pushed to the forge: %w", reason(call, err))
	}
	return m.store(ctx, objects, nil)
}

// bar notes that what others pushed to a branch cannot be taken in.
func (m *Mirror) bar(s stand, err error) {
	m.o.Log.Error("what others pushed to the forge cannot be taken in; that branch is left as it is", "url", m.o.URL, "branch", s.name, "head", s.theirs.String(), "err", err)
	m.barred[s.name] = barred{id: s.theirs, err: err}
}

// chunk is how many bytes of objects go into the repository at once.
const chunk = 64 << 20

// store keeps objects, then moves refs, durably.
func (m *Mirror) store(ctx context.Context, objects []transport.Object, refs []journal.RefUpdate) error {
	for len(objects) > 0 {
		n, size := 0, 0
		for n < len(objects) && (n == 0 || size < chunk) {
			size += len(objects[n].Data)
			n++
		}
		if _, err := m.repo.Append(ctx, []journal.Frame{{Objects: objects[:n]}}, false); err != nil {
			return fmt.Errorf("keep what the forge has: %w", err)
		}
		objects = objects[n:]
	}
	if len(refs) == 0 {
		return nil
	}
	if _, err := m.repo.Append(ctx, []journal.Frame{{Refs: refs}}, true); err != nil {
		return fmt.Errorf("keep what the forge has: %w", err)
	}
	return nil
}

// remember keeps what the forge was seen to have, as far as we have it, too.
func (m *Mirror) remember(ctx context.Context, theirs, seen map[string]gitobj.ID) error {
	var refs []journal.RefUpdate
	for _, name := range names(theirs, seen) {
		id := theirs[name]
		if id != seen[name] && (id.IsZero() || m.repo.Has(id)) {
			refs = append(refs, journal.RefUpdate{Name: Remote + name, Old: seen[name], New: id})
		}
	}
	slices.SortStableFunc(refs, func(a, b journal.RefUpdate) int { // a name may be another's directory
		return boolCompare(!a.New.IsZero(), !b.New.IsZero())
	})
	return m.store(ctx, nil, refs)
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// tellLost says that the forge has lost something. It is pushed again.
func (m *Mirror) tellLost(s stand) {
	text := "the forge's branch is gone; it is pushed again"
	if !s.theirs.IsZero() {
		text = "the forge's branch lacks what it had; that is pushed again"
	}
	m.o.Log.Warn(text, "url", m.o.URL, "branch", s.name, "had", s.seen.String(), "has", s.theirs.String())
	m.note(func(st *Status) { st.Lost++ })
}

// takeIn offers to the hub what others pushed to a branch, or keeps it if it
// has nothing in common with ours (law F3). lost says that they dropped
// something of the branch's, too.
func (m *Mirror) takeIn(ctx context.Context, s stand) (lost bool, err error) {
	first := s.seen != s.theirs
	if first && !s.seen.IsZero() {
		held, err := m.holds(ctx, s.theirs, s.seen)
		if err != nil {
			return false, err
		}
		if lost = !held; lost {
			m.tellLost(s)
		}
	}
	ours, _ := m.repo.Ref(heads + main)
	there, err := m.holds(ctx, ours, s.theirs)
	if err != nil || there {
		return lost, err
	}
	related, err := m.related(ctx, ours, s.theirs)
	if err != nil {
		return lost, err
	}
	if !related && !ours.IsZero() || !merged(s.name) {
		return lost, m.keep(ctx, s)
	}
	if err := m.readable(ctx, ours, s.theirs); err != nil {
		m.bar(s, err)
		return lost, nil
	}
	if first {
		m.o.Log.Info("others pushed to the forge; it is being merged into main", "url", m.o.URL, "branch", s.name, "head", s.theirs.String())
		m.note(func(st *Status) { st.TakenIn++ })
	}
	if err := m.see(ctx, s); err != nil {
		return lost, err
	}
	m.o.Offer(Remote + s.name)
	return lost, nil
}

// see notes what a branch is at, so that the ref can be offered.
func (m *Mirror) see(ctx context.Context, s stand) error {
	was, _ := m.repo.Ref(Remote + s.name)
	if was == s.theirs {
		return nil
	}
	return m.store(ctx, nil, []journal.RefUpdate{{Name: Remote + s.name, Old: was, New: s.theirs}})
}

// readable says whether what a commit changes is in the layout of our trees:
// main may move to it as it is.
func (m *Mirror) readable(ctx context.Context, ours, theirs gitobj.ID) error {
	var trees [2]gitobj.ID
	for i, id := range []gitobj.ID{ours, theirs} {
		if id.IsZero() {
			continue
		}
		c, err := m.commit(id)
		if err != nil {
			return err
		}
		trees[i] = c.Tree
	}
	return treeedit.Diff(ctx, m.repo, trees[0], trees[1], func(string, gitobj.ID, gitobj.ID) error { return nil })
}

// keep files a history of the forge's that cannot be merged as a branch of its own.
func (m *Mirror) keep(ctx context.Context, s stand) error {
	name := keeper(s.name, s.theirs)
	if _, kept := m.repo.Ref(heads + name); kept {
		return nil
	}
	m.o.Log.Warn("others rewrote a branch at the forge; theirs is kept, not merged, and ours is put back", "url", m.o.URL, "branch", s.name, "kept", name)
	if err := m.store(ctx, nil, []journal.RefUpdate{{Name: heads + name, New: s.theirs}}); err != nil {
		return err
	}
	m.note(func(st *Status) { st.TakenIn++ })
	return nil
}

func (m *Mirror) commit(id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := m.repo.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s", id, kind)
	}
	return gitobj.DecodeCommit(data)
}
