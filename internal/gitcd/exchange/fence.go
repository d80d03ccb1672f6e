// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// ErrFenced is what every FencedError is.
var ErrFenced = errors.New("fenced")

// FencedError says that another writer has taken the branch.
type FencedError struct {
	Branch string
	// Epoch and Holder were ours, and are theirs now.
	Epoch       int64
	Holder      string
	TheirEpoch  int64
	TheirHolder string
	// Head is theirs.
	Head gitobj.ID
	// HandedIn is the ref that what we had not pushed went to. Empty if there was nothing.
	HandedIn string
}

// Error says who has the branch, and what to do.
func (e *FencedError) Error() string {
	text := fmt.Sprintf("%v: %s was ours in epoch %d (holder %q) and was taken by holder %q with epoch %d",
		ErrFenced, e.Branch, e.Epoch, e.Holder, e.TheirHolder, e.TheirEpoch)
	if e.HandedIn != "" {
		text += "; what was not pushed is in " + e.HandedIn
	}
	return text + "; run `gitcd init` only where the heaven is meant to run"
}

// Is makes it an ErrFenced.
func (e *FencedError) Is(target error) bool { return target == ErrFenced }

// fencedRef is where the writer of an epoch hands in what it could not push.
func fencedRef(branch string, epoch int64) string {
	return heads + "fenced/" + branch + "/" + strconv.FormatInt(max(epoch, 1), 10)
}

// Writer returns who wrote a commit, by its trailers: the epoch is 0 if it has none.
func Writer(c gitobj.Commit) (epoch int64, holder string) {
	text, _ := c.Trailer("Epoch")
	holder, _ = c.Trailer("Holder")
	epoch, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, holder
	}
	return epoch, holder
}

// lost finds out who has the branch. It returns a FencedError, or what kept it from knowing.
func (x *Exchange) lost(ctx context.Context, theirs gitobj.ID) error {
	call, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	c, err := fetchCommit(call, x.repo, x.up, theirs, x.haves()...)
	if err != nil {
		return fmt.Errorf("read who has the branch: %w", reason(call, err))
	}
	e := &FencedError{Branch: x.o.Branch, Epoch: x.o.Epoch, Holder: x.o.Holder, Head: theirs}
	e.TheirEpoch, e.TheirHolder = Writer(c)
	return e
}

// fetchCommit reads a commit of the upstream's. What comes with it is kept, for nothing that names it is missing.
func fetchCommit(ctx context.Context, repo Repository, up Upstream, id gitobj.ID, haves ...gitobj.ID) (gitobj.Commit, error) {
	if !repo.Has(id) {
		came, err := up.Fetch(ctx, repo, []gitobj.ID{id}, haves)
		if err != nil {
			return gitobj.Commit{}, fmt.Errorf("fetch %s: %w", id, err)
		}
		if _, err := repo.Append(ctx, []journal.Frame{{Objects: came}}, false); err != nil {
			return gitobj.Commit{}, fmt.Errorf("store %s: %w", id, err)
		}
	}
	return commitOf(repo, id)
}

// surrender stops the serving and hands in what was acknowledged but not
// pushed (law X4). It tries until that is done or the context ends.
func (x *Exchange) surrender(ctx context.Context, lost *FencedError) error {
	x.note(func(s *Status) { s.Fenced, s.LastError = true, lost.Error() })
	x.o.Log.Error("another writer has the branch", "branch", lost.Branch, "epoch", lost.TheirEpoch, "holder", lost.TheirHolder)
	x.o.OnFenced(lost)
	ctx, cancel := x.grace(ctx)
	defer cancel()
	head, err := x.store.Flush(ctx)
	if err != nil {
		return errors.Join(lost, fmt.Errorf("commit what is left: %w", err))
	}
	pause := x.o.pauses()
	for {
		lost.HandedIn, err = x.handOver(ctx, head, lost)
		if err == nil {
			return lost
		}
		x.o.Log.Warn("hand-over failed and will be tried again", "branch", lost.Branch, "err", err)
		if ctx.Err() != nil {
			return errors.Join(lost, fmt.Errorf("hand in what was not pushed: %w; keep the repository and start again", err))
		}
		x.sleep(ctx, pause.next())
	}
}

// grace returns a context that outlives another one by the time to leave.
func (x *Exchange) grace(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-longer.Done():
			return
		case <-ctx.Done():
			x.sleep(longer, x.o.Leave)
			cancel(errTimeout)
		}
	}()
	return longer, func() { cancel(nil) }
}

func (x *Exchange) handOver(ctx context.Context, head gitobj.ID, lost *FencedError) (string, error) {
	ctx, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	ref, err := handOver(ctx, x.repo, x.up, head, lost, x.own, x.joined)
	if err != nil {
		return "", reason(ctx, err)
	}
	return ref, nil
}

// handOver pushes a head to the side branch of its epoch, if the upstream
// lacks something of it. It may be tried again: what is there already counts.
func handOver(ctx context.Context, repo Repository, up Upstream, head gitobj.ID, lost *FencedError, haves ...gitobj.ID) (string, error) {
	if head.IsZero() {
		return "", nil
	}
	ref := fencedRef(lost.Branch, lost.Epoch)
	found, err := up.ListRefs(ctx, ref, Main)
	if err != nil {
		return "", err
	}
	if found[ref] == head {
		return ref, nil
	}
	items, err := transport.Missing(ctx, repo, []gitobj.ID{head}, append(haves, lost.Head, found[Main], found[ref]))
	if err != nil {
		return "", fmt.Errorf("list what to push: %w", err)
	}
	if len(items) == 0 {
		return "", nil // the branch or main holds it all
	}
	err = up.Push(ctx, repo, []transport.Command{{Name: ref, Old: found[ref], New: head}}, items)
	return ref, err
}
