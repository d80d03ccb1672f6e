// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// moves returns which refs are to move to a head: the own branch and, where
// nobody else does it, main. Then main is read once more, so that it is seldom
// another one's when the push arrives; if it has moved, nothing is pushed before
// that is merged.
func (x *Exchange) moves(ctx context.Context, head gitobj.ID) ([]transport.Command, error) {
	if !x.o.MovesMain {
		return []transport.Command{{Name: x.ref, Old: x.own, New: head}}, nil
	}
	x.known = false
	if err := x.resync(ctx); err != nil {
		return nil, err
	}
	if x.main != x.joined {
		return nil, nil
	}
	commands := []transport.Command{{Name: Main, Old: x.main, New: head}}
	if x.own != head {
		commands = append(commands, transport.Command{Name: x.ref, Old: x.own, New: head})
	}
	return commands, nil
}

// movedMain notes that main is at a head of ours. There is nothing to await.
func (x *Exchange) movedMain(head gitobj.ID) {
	x.main, x.joined, x.heldIn, x.awaited = head, head, x.own, gitobj.Zero
	x.news.tell(Notice{Ref: Main, ID: head})
	x.news.tell(Notice{Ref: x.ref, ID: head})
	main := head.String()
	x.note(func(s *Status) { s.Main, s.Behind = main, false })
	x.Hint()
}
