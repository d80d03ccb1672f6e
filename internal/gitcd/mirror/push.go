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
)

// push hands in what the forge lacks, all branches in one, if it is time to.
func (m *Mirror) push(ctx context.Context) error {
	now := m.o.Clock.Now()
	if now.Before(m.pushAt) {
		return nil
	}
	commands, err := m.plan(ctx, branches(m.repo))
	if err != nil || len(commands) == 0 {
		return err
	}
	m.pushAt = now.Add(m.o.Interval)
	sent := map[string]gitobj.ID{}
	for _, c := range commands {
		sent[strings.TrimPrefix(c.Name, heads)] = c.New
	}
	m.ledger.begin(sent)
	err = m.send(ctx, commands)
	m.ledger.end(err == nil)
	if rejected := (*transport.RejectedError)(nil); errors.As(err, &rejected) {
		m.blame(rejected, sent)
	}
	if err != nil {
		return fmt.Errorf("push to the forge: %w; heavens go on meanwhile", err)
	}
	return m.took(ctx, commands)
}

// plan lists how the forge's branches are to move (law F2).
func (m *Mirror) plan(ctx context.Context, ours map[string]gitobj.ID) ([]transport.Command, error) {
	var out []transport.Command
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		theirs := m.theirs[name]
		if ours[name] == theirs {
			continue
		}
		if r, no := m.refused[name]; no && !m.ready(name) {
			m.behind = fmt.Errorf("the forge refuses %s: %s; allow it in the settings of the repository there", name, r.reason)
			continue
		}
		if b, no := m.barred[name]; no && b.id == theirs {
			m.behind = fmt.Errorf("what others pushed to %s at the forge cannot be taken in: %w; take it out of the branch's history there", name, b.err)
			continue
		}
		may, err := m.mayMove(ctx, name, ours[name], theirs)
		if err != nil {
			return nil, err
		}
		if !may {
			if m.behind == nil {
				m.behind = fmt.Errorf("others moved %s at the forge; it is pushed once main there has what they did", name)
			}
			continue
		}
		out = append(out, transport.Command{Name: heads + name, Old: theirs, New: ours[name]})
	}
	return out, nil
}

// mayMove says whether the forge loses nothing if a branch moves to ours.
func (m *Mirror) mayMove(ctx context.Context, name string, ours, theirs gitobj.ID) (bool, error) {
	if theirs.IsZero() || m.sure[name] == theirs {
		return true, nil
	}
	held, err := m.holds(ctx, ours, theirs)
	if err != nil || held {
		return held, err
	}
	if kept := keeper(name, theirs); m.theirs[kept] == theirs {
		return true, nil
	}
	if name == main || m.sure[main] != m.theirs[main] {
		return false, nil
	}
	return m.holds(ctx, m.theirs[main], theirs)
}

// send pushes with the objects that the forge lacks.
func (m *Mirror) send(ctx context.Context, commands []transport.Command) error {
	var wants []gitobj.ID
	for _, c := range commands {
		wants = append(wants, c.New)
	}
	store := transport.NewRecent(m.repo, walkMemory)
	items, err := transport.Missing(ctx, store, wants, slices.Collect(maps.Values(m.theirs)))
	if err != nil {
		return fmt.Errorf("list what to push: %w", err)
	}
	call, cancel := within(ctx, m.o.Clock, m.o.Timeout)
	defer cancel()
	if err := m.forge.Push(call, store, commands, items); err != nil {
		return reason(call, err)
	}
	return nil
}

// walkMemory is how much of the repository a push remembers.
const walkMemory = 8 << 20

// took notes what the forge has confirmed.
func (m *Mirror) took(ctx context.Context, commands []transport.Command) error {
	var refs []journal.RefUpdate
	for _, c := range commands {
		name := strings.TrimPrefix(c.Name, heads)
		m.theirs[name], m.sure[name] = c.New, c.New
		delete(m.refused, name)
		was, _ := m.repo.Ref(Remote + name)
		refs = append(refs, journal.RefUpdate{Name: Remote + name, Old: was, New: c.New})
	}
	now := m.o.Clock.Now()
	m.note(func(s *Status) {
		s.Pushes++
		s.LastPush = timeOf(now)
	})
	return m.store(ctx, nil, refs)
}

// blame notes which branches the forge refuses. The first no may be the fault
// of somebody who was faster: the next look shows. After a second one for the
// same commit, the branch waits apart from the others.
func (m *Mirror) blame(rejected *transport.RejectedError, sent map[string]gitobj.ID) {
	own := map[string]string{}
	for ref, reason := range rejected.Reasons {
		if name := strings.TrimPrefix(ref, heads); sent[name] != (gitobj.ID{}) && !strings.Contains(reason, "atomic") {
			own[name] = reason
		}
	}
	if len(own) == 0 && len(rejected.Reasons) == len(sent) {
		return // not the branches' fault
	}
	for name, text := range own {
		r := refusal{reason: text, id: sent[name], again: m.o.Clock.Now()}
		if before, again := m.refused[name]; again && before.id == r.id {
			r.again = r.again.Add(m.o.MaxPause)
		}
		m.refused[name] = r
	}
}

// oldest returns when the oldest commit was made that the forge lacks, zero if it lacks none.
func (m *Mirror) oldest(ctx context.Context, ours, theirs map[string]gitobj.ID) (time.Time, error) {
	store := transport.NewRecent(m.repo, walkMemory)
	items, err := transport.Missing(ctx, store, slices.Collect(maps.Values(ours)), slices.Collect(maps.Values(theirs)))
	if err != nil {
		return time.Time{}, fmt.Errorf("list what the forge lacks: %w", err)
	}
	var oldest time.Time
	for _, it := range items {
		if it.Kind != gitobj.KindCommit {
			continue
		}
		c, err := m.commit(it.ID)
		if err != nil {
			return time.Time{}, err
		}
		if oldest.IsZero() || c.Committer.When.Before(oldest) {
			oldest = c.Committer.When
		}
	}
	return oldest, nil
}
