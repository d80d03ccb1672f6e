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

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
)

// marker is the ref of a blob that has the forge's URL: what another
// repository was seen to have says nothing of this one.
const marker = "refs/gitcd/forge"

// begin makes ready for Run.
func (m *Mirror) begin(ctx context.Context) error {
	if err := m.mark(ctx); err != nil {
		return err
	}
	ours, seen := branches(m.repo), m.seen()
	m.theirs = seen
	oldest, err := m.oldest(ctx, ours, seen)
	if err != nil {
		return err
	}
	m.ledger.confirmed(seen, oldest)
	return nil
}

// mark forgets what was seen at a forge that is not this one.
func (m *Mirror) mark(ctx context.Context) error {
	url := []byte(m.o.URL)
	id := gitobj.Hash(gitobj.KindBlob, url)
	was, _ := m.repo.Ref(marker)
	if was == id {
		return nil
	}
	frame := journal.Frame{
		Objects: []journal.Object{{Kind: gitobj.KindBlob, ID: id, Data: url}},
		Refs:    []journal.RefUpdate{{Name: marker, Old: was, New: id}},
	}
	for ref, old := range m.repo.Refs(Remote) {
		frame.Refs = append(frame.Refs, journal.RefUpdate{Name: ref, Old: old})
	}
	if _, err := m.repo.Append(ctx, []journal.Frame{frame}, true); err != nil {
		return fmt.Errorf("note the forge's URL: %w", err)
	}
	return nil
}

// Restore begins a repository that has no branches with what the forge has,
// and says how many branches that were (law F8). It asks until the forge
// answers: whoever began without it might begin a second history.
func (m *Mirror) Restore(ctx context.Context) (int, error) {
	if len(branches(m.repo)) > 0 {
		return 0, nil
	}
	for {
		n, err := m.restore(ctx)
		if err == nil || ctx.Err() != nil || dead(err) || errors.Is(err, errNotOurs) {
			return n, err
		}
		pause := m.pause.after(err)
		m.o.Log.Warn("the repository is empty, and what the forge has cannot be had; it will be tried again", "url", m.o.URL, "in", pause, "err", err)
		sleep(ctx, m.o.Clock, pause)
	}
}

func (m *Mirror) restore(ctx context.Context) (int, error) {
	theirs, err := m.list(ctx)
	if err != nil {
		return 0, err
	}
	wants := map[string]gitobj.ID{}
	heavens := false
	for name, id := range theirs {
		if restored(name) {
			wants[name] = id
			heavens = heavens || merged(name) && name != main
		}
	}
	if len(theirs) == 0 {
		return 0, nil
	}
	if !heavens {
		return 0, errNotOurs
	}
	call, cancel := within(ctx, m.o.Clock, m.o.Timeout)
	defer cancel()
	objects, err := m.forge.Fetch(call, m.repo, slices.Collect(maps.Values(wants)), nil)
	if err != nil {
		return 0, fmt.Errorf("fetch from the forge: %w", reason(call, err))
	}
	if err := m.mark(ctx); err != nil {
		return 0, err
	}
	var refs []journal.RefUpdate
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		for _, ref := range []string{heads + name, Remote + name} {
			was, _ := m.repo.Ref(ref)
			refs = append(refs, journal.RefUpdate{Name: ref, Old: was, New: wants[name]})
		}
	}
	return len(wants), m.store(ctx, objects, refs)
}

// restored says whether a branch is one that a hub's repository has.
func restored(name string) bool {
	for _, prefix := range []string{"quarantine/", rewritten} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "conflicts" || merged(name)
}
