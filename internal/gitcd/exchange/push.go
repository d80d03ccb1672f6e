// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// push hands in what the upstream lacks, if it is time to.
func (x *Exchange) push(ctx context.Context) error {
	head := x.store.Head()
	if !x.unpushed(head) {
		x.lazy = time.Time{}
		x.note(func(s *Status) { s.Unpushed, s.UnpushedSince = false, nil })
		return nil
	}
	now := x.o.Clock.Now()
	x.note(func(s *Status) {
		if !s.Unpushed {
			s.Unpushed, s.UnpushedSince = true, &now
		}
	})
	if !x.known || !x.released || now.Before(x.pushAt) {
		return nil
	}
	if !x.awaited.IsZero() && now.Before(x.until) {
		return nil
	}
	x.awaited = gitobj.Zero
	lazy, wait, err := x.waits(ctx, head, now)
	if err != nil || wait {
		return err
	}
	if !lazy || !x.news.hub() {
		return x.handIn(ctx, head)
	}
	if err := x.handIn(ctx, head, hubLazy); err != nil {
		return err
	}
	x.awaited, x.lazily = gitobj.Zero, now // the hub takes its time, too
	return nil
}

// unpushed says whether the upstream lacks a head. A head that only followed main is not pushed (law X2).
func (x *Exchange) unpushed(head gitobj.ID) bool {
	return !head.IsZero() && (head != x.own || x.o.MovesMain) && head != x.main && head != x.joined
}

func (x *Exchange) treeOf(id gitobj.ID) (gitobj.ID, error) {
	c, err := commitOf(x.repo, id)
	return c.Tree, err
}

func commitOf(objects transport.Objects, id gitobj.ID) (gitobj.Commit, error) {
	kind, data, err := objects.Get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: %w", id, err)
	}
	if kind != gitobj.KindCommit {
		return gitobj.Commit{}, fmt.Errorf("read commit %s: it is a %s", id, kind)
	}
	return gitobj.DecodeCommit(data)
}

// handIn pushes a head, and finds out what is there if the upstream refuses.
func (x *Exchange) handIn(ctx context.Context, head gitobj.ID, options ...string) error {
	commands, err := x.moves(ctx, head)
	if err != nil || len(commands) == 0 {
		return err
	}
	err = x.send(ctx, commands, []gitobj.ID{x.own, x.joined}, options...)
	if rejected := (*transport.RejectedError)(nil); errors.As(err, &rejected) {
		x.known = false // the next step reads the refs, and judges
		if again := x.resync(ctx); again != nil {
			return again
		}
		if x.own == head && (x.main == head || !x.o.MovesMain) {
			return nil // it had come through, only the answer had not
		}
		if x.o.MovesMain && x.main != x.joined {
			return nil // somebody else was faster: what they did is merged first
		}
		return fmt.Errorf("%w; the upstream's log says more", err)
	}
	if err != nil {
		x.known = false // it may have come through
		return fmt.Errorf("%w; check the network and the certificates, writes go on meanwhile", err)
	}
	now := x.o.Clock.Now()
	x.own, x.awaited, x.until, x.urgent = head, head, now.Add(x.o.Await), false
	x.pushAt = now.Add(x.o.PushEvery)
	if x.o.MovesMain {
		x.movedMain(head)
	}
	x.note(func(s *Status) {
		s.Pushed, s.LastPush = head.String(), &now
		s.Unpushed, s.UnpushedSince = false, nil
		s.Pushes++
	})
	return nil
}

// send pushes refs to one commit, with the objects that the haves do not hold.
func (x *Exchange) send(ctx context.Context, commands []transport.Command, haves []gitobj.ID, options ...string) error {
	items, err := transport.Missing(ctx, x.repo, []gitobj.ID{commands[0].New}, haves)
	if err != nil {
		return fmt.Errorf("list what to push: %w", err)
	}
	call, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	if err := x.up.Push(call, x.repo, commands, items, options...); err != nil {
		return fmt.Errorf("push %s: %w", commands[0].Name, reason(call, err))
	}
	return nil
}

// leave hands in what is left when the exchange is stopped. What it cannot
// hand in stays in the journal and goes out on the next start.
func (x *Exchange) leave(ctx context.Context) error {
	ctx, cancel := x.grace(ctx)
	defer cancel()
	head, err := x.store.Flush(ctx)
	if err != nil {
		return fmt.Errorf("commit what is left: %w", err)
	}
	if x.connects == 0 || !x.released || !x.unpushed(head) {
		return nil
	}
	if err = x.resync(ctx); err == nil {
		err = x.handIn(ctx, head)
	}
	if lost := (*FencedError)(nil); errors.As(err, &lost) {
		return err
	}
	if err != nil {
		x.o.Log.Warn("left with something unpushed; it goes out on the next start", "branch", x.o.Branch, "head", head.String(), "err", err)
	}
	return nil
}
