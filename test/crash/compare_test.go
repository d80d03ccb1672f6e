// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// compare opens what is left, looks at everything, loses power at once, and
// looks again. It returns what is left then.
func compare(ctx context.Context, l left, s setting, deep bool) (left, error) {
	b, err := branch.Open(ctx, l.disk, dir, s.journal, s.store)
	if err != nil {
		return l, fmt.Errorf("open: %w", err)
	}
	if err := l.told.compare(ctx, b, false); err != nil {
		return l, errors.Join(err, b.Close(ctx))
	}
	again := left{disk: l.disk.CrashClone(vfs.DropUnsynced, nil), told: l.told.copyLocked(), crash: l.crash, at: l.at}
	if err := b.Close(ctx); err != nil {
		return l, fmt.Errorf("close: %w", err)
	}
	if b, err = branch.Open(ctx, again.disk, dir, s.journal, s.store); err != nil {
		return again, fmt.Errorf("open after a second power cut: %w", err)
	}
	if err := again.told.compare(ctx, b, true); err != nil {
		return again, errors.Join(fmt.Errorf("after a second power cut: %w", err), b.Close(ctx))
	}
	out := left{disk: again.disk.CrashClone(vfs.Kill, nil), told: again.told, crash: l.crash, at: l.at}
	if err := b.Close(ctx); err != nil {
		return again, fmt.Errorf("close: %w", err)
	}
	return out, sound(ctx, again.disk, deep)
}

// sound checks C7 and, if it is to go deep, as gitcd verify does, C5 once more: each commit since the last checkpoint is derived again.
func sound(ctx context.Context, disk vfs.FS, deep bool) error {
	var broken []string
	report := func(law, where string) { broken = append(broken, law+": "+where) }
	var err error
	if deep {
		err = branch.Check(ctx, disk, dir, nil, report)
	} else {
		err = journal.Check(disk, dir, report)
	}
	if len(broken) > 0 {
		err = errors.Join(err, fmt.Errorf("C7: %s", strings.Join(broken, "; ")))
	}
	return err
}

// compare compares a store that was just opened with what was told.
func (o *told) compare(ctx context.Context, b *branch.Branch, commits bool) error {
	rev, compacted := b.Store.Revision(), b.Store.CompactRevision()
	if rev < o.seen {
		return fmt.Errorf("C3: the store is at revision %d, %d was seen", rev, o.seen)
	}
	if compacted < o.compact[0] || compacted > o.compact[1] {
		return fmt.Errorf("C1: compacted at %d, acknowledged is %d, tried %d", compacted, o.compact[0], o.compact[1])
	}
	if err := o.compareHistory(ctx, b.Store, max(compacted, 1), rev); err != nil {
		return err
	}
	for id, f := range o.fates {
		if a := o.attempts[id]; a != nil && f.told && f.revision != 0 {
			return fmt.Errorf("C1: %s was acknowledged at revision %d, and is not there", id, f.revision)
		}
	}
	if err := o.compareKeys(ctx, b.Store, rev); err != nil {
		return err
	}
	if err := o.compareLeases(b.Store); err != nil {
		return err
	}
	if !o.flushed.IsZero() {
		head, ok := b.Journal.Ref(ref)
		if !ok {
			return fmt.Errorf("C1: %s is gone, it was flushed at %s", ref, o.flushed)
		}
		if !history(b, head)[o.flushed] {
			return fmt.Errorf("C1: %s was flushed and is not in the history of %s", o.flushed, head)
		}
	}
	for id := range o.attempts { // whatever was not there now stays away
		o.gone[id] = true
	}
	clear(o.attempts)
	clear(o.fates)
	o.seen, o.watched, o.compact = rev, rev, [2]int64{compacted, compacted}
	if !commits {
		return nil
	}
	return o.compareCommits(ctx, b)
}

// compareHistory replays what the store still tells, beside what a watcher saw.
func (o *told) compareHistory(ctx context.Context, s *mvcc.Store, compacted, rev int64) error {
	stream := s.Watch()
	defer stream.Close()
	stream.Create(mvcc.WatchRequest{Key: "\x00", End: "\x00", Start: compacted + 1})
	have := map[int64][]event{}
	for up := compacted; up < rev; {
		r, err := stream.Next(ctx)
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if r.Canceled {
			return fmt.Errorf("C3: watch from %d is canceled: %+v", compacted+1, r)
		}
		for _, e := range r.Events {
			ev := eventOf(e)
			have[ev.mod] = append(have[ev.mod], ev)
			up = max(up, ev.mod)
		}
	}
	for r, events := range have {
		if was, ok := o.log[r]; ok && !slices.Equal(was, events) {
			return fmt.Errorf("C3: revision %d was %v, is %v", r, was, events)
		}
		o.log[r] = events
	}
	return o.replay(o.log, rev)
}

func (o *told) compareKeys(ctx context.Context, s *mvcc.Store, rev int64) error {
	r, err := s.Range(ctx, mvcc.RangeRequest{Key: "\x00", End: "\x00"})
	if err != nil {
		return fmt.Errorf("read all: %w", err)
	}
	have := map[string]cell{}
	for _, kv := range r.KVs {
		have[kv.Key] = cellOf(kv)
	}
	if r.Revision != rev || !maps.Equal(have, o.at) {
		for key, c := range o.at {
			if have[key] != c {
				return fmt.Errorf("C1: %q is %v, want %v", key, have[key], c)
			}
		}
		return fmt.Errorf("C2: %d keys at revision %d, want %d at %d", len(have), r.Revision, len(o.at), rev)
	}
	return nil
}

func (o *told) compareLeases(s *mvcc.Store) error {
	there := map[mvcc.LeaseID]leaseFate{}
	for _, l := range s.Leases() {
		f, ok := o.leases[l.ID]
		if !ok || f.revoked {
			return fmt.Errorf("C4: lease %d is there, known: %v", l.ID, f)
		}
		there[l.ID] = leaseFate{granted: true}
		d, err := s.Lease(l.ID, true)
		if err != nil {
			return err
		}
		for _, key := range d.Keys {
			if o.at[key].lease != l.ID {
				return fmt.Errorf("C1: lease %d has %q, which has lease %d", l.ID, key, o.at[key].lease)
			}
		}
	}
	for id, f := range o.leases {
		if f.granted && !f.revoking && !there[id].granted {
			return fmt.Errorf("C1: lease %d is gone", id)
		}
	}
	for key, c := range o.at {
		if c.lease != 0 && !there[c.lease].granted {
			return fmt.Errorf("C2: %q has lease %d, which is gone", key, c.lease)
		}
	}
	o.leases = there
	return nil
}

// compareCommits flushes, and compares the commits with those that were seen, and the tree with the keys.
func (o *told) compareCommits(ctx context.Context, b *branch.Branch) error {
	head, err := b.Store.Flush(ctx)
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	all := history(b, head)
	for id := range o.heads {
		if !all[id] {
			return fmt.Errorf("C5: commit %s was the head, and is not in the history of %s", id, head)
		}
	}
	if head.IsZero() {
		return nil
	}
	o.heads, o.flushed = map[gitobj.ID]bool{head: true}, head
	_, data, err := b.Journal.Get(head)
	if err != nil {
		return err
	}
	commit, err := gitobj.DecodeCommit(data)
	if err != nil {
		return err
	}
	have, want := map[string]string{}, map[string]string{}
	if err := treeedit.Walk(ctx, b.Journal, commit.Tree, func(key string, blob gitobj.ID) error {
		_, content, err := b.Journal.Get(blob)
		if err != nil {
			return err
		}
		value, err := layout.Value(content)
		have[key] = string(value)
		return err
	}); err != nil {
		return fmt.Errorf("walk the tree: %w", err)
	}
	for key, c := range o.at {
		if layout.DefaultGrains().Of(key) != layout.Local {
			want[key] = c.value
		}
	}
	if !maps.Equal(have, want) {
		for key, v := range want {
			if have[key] != v {
				return fmt.Errorf("C6: the tree has %q = %.60q, want %.60q", key, have[key], v)
			}
		}
		return fmt.Errorf("C6: the tree has %d keys, want %d", len(have), len(want))
	}
	return nil
}

// history returns all commits that one is built on.
func history(b *branch.Branch, head gitobj.ID) map[gitobj.ID]bool {
	out := map[gitobj.ID]bool{}
	for todo := []gitobj.ID{head}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id.IsZero() || out[id] {
			continue
		}
		_, data, err := b.Journal.Get(id)
		if err != nil {
			continue
		}
		out[id] = true
		if commit, err := gitobj.DecodeCommit(data); err == nil {
			todo = append(todo, commit.Parents...)
		}
	}
	return out
}
