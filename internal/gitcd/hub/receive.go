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
)

// ErrNotForward is wrapped by refusals of moves that would drop commits (law H2).
var ErrNotForward = errors.New("not a fast-forward")

// Admit says who may move what (law H1).
func (h *Hub) Admit(ctx context.Context, commands []transport.Command) []error {
	out := make([]error, len(commands))
	for i, c := range commands {
		out[i] = mayPush(peerOf(ctx), c.Name)
		if out[i] == nil {
			out[i] = h.current(c)
		}
	}
	return out
}

// current says whether a ref is still where a command moves it from.
func (h *Hub) current(c transport.Command) error {
	if head, _ := h.repo.Ref(c.Name); head != c.Old {
		return fmt.Errorf("%s is at %s, not at %s: %w", c.Name, head, c.Old, transport.ErrStale)
	}
	return nil
}

// Receive makes a push durable and leaves it to the merge loop (law H3).
func (h *Hub) Receive(ctx context.Context, push transport.Push) error {
	err := h.store(ctx, push)
	now := h.o.Clock.Now()
	conflicts := reported(push.Objects)
	moved := map[string]gitobj.ID{}
	h.mu.Lock()
	for _, c := range push.Commands {
		state := h.branches[c.Name]
		if err == nil {
			state.lastPush = now
			moved[c.Name] = c.New
			h.awaitPassLocked(c.Name, push.Options, now)
		} else {
			state.lastErr = err.Error()
		}
		h.branches[c.Name] = state
	}
	if err == nil {
		h.reported = append(h.reported, conflicts...)
	}
	h.mu.Unlock()
	if dead(err) {
		select {
		case h.failed <- err:
		default:
		}
	}
	if err != nil {
		return err
	}
	h.board.post(moved)
	h.signal()
	return nil
}

func (h *Hub) store(ctx context.Context, push transport.Push) error {
	view := transport.Over(h.repo, push.Objects)
	commits := parentsOf(push.Objects)
	for _, c := range push.Commands {
		if err := h.current(c); err != nil {
			return err
		}
		if c.Old.IsZero() || h.lineage.forward(c, commits) {
			continue
		}
		bases, err := merge.Bases(ctx, view, c.Old, c.New)
		if err != nil {
			return fmt.Errorf("check that %s moves forward: %w", c.Name, err)
		}
		if len(bases) != 1 || bases[0] != c.Old {
			return fmt.Errorf("%s from %s to %s: %w", c.Name, c.Old, c.New, ErrNotForward)
		}
	}
	if err := h.commit(ctx, push.Objects, push.Commands); err != nil {
		return fmt.Errorf("store push: %w", err)
	}
	return nil
}
