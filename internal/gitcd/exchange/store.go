// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// Store is the heaven's store, a *mvcc.Store.
type Store interface {
	// Head returns the last commit. All it holds was acknowledged and is durable,
	// or is derived again, with the same id, from what is.
	Head() gitobj.ID
	// HeadChanged returns a channel that is closed when the head moves next.
	HeadChanged() <-chan struct{}
	// Flush commits all that was acknowledged and returns the head.
	Flush(ctx context.Context) (gitobj.ID, error)
	// MergeView is Flush, and the revisions of the keys in that commit.
	MergeView(ctx context.Context) (mvcc.MergeView, error)
	// KeyState returns a key's value and the revision that set it: nil and 0 if the key does not exist.
	KeyState(key string) ([]byte, int64, error)
	// Merge joins a commit, or says with a *mvcc.StaleError which keys moved meanwhile.
	Merge(ctx context.Context, m mvcc.Merge) (mvcc.MergeResult, error)
}

// Beside is what the store has beside Git, a *mvcc.Store.
type Beside interface {
	// Waiting returns what clients wrote here that waits for a commit with others.
	Waiting(ctx context.Context) ([]mvcc.Waiting, error)
	// Aside changes values in the store alone; the tree keeps what it has.
	Aside(ctx context.Context, keys []string, change func(key string, value []byte) ([]byte, bool)) (int, error)
	// PatientView is a view for a merge that lets lazy changes wait on.
	PatientView(ctx context.Context) (mvcc.MergeView, error)
}

// Repository is where the heaven's objects and refs are, a *journal.Journal.
type Repository interface {
	transport.Repository
	// Ref returns what a ref points to.
	Ref(name string) (gitobj.ID, bool)
	// Append writes the frames, all or nothing, and returns, if durable, after
	// a sync that covers them.
	Append(ctx context.Context, frames []journal.Frame, durable bool) ([]journal.Place, error)
}

// Upstream is the other end: a hub, or any Git server.
type Upstream interface {
	// ListRefs returns the refs whose names begin with one of the prefixes.
	ListRefs(ctx context.Context, prefixes ...string) (map[string]gitobj.ID, error)
	// Fetch brings what the wants reach and the store lacks, verified and complete.
	Fetch(ctx context.Context, store transport.Objects, wants, haves []gitobj.ID) ([]transport.Object, error)
	// Push moves refs from their Old to their New, all or none. A refusal is a *transport.RejectedError.
	Push(ctx context.Context, store transport.Objects, commands []transport.Command, items []transport.Item, options ...string) error
	// Watch tells of the refs' heads, first of all of them and then of each
	// change, until the stream breaks. It is ErrNoStream if the upstream has none.
	Watch(ctx context.Context, refs []string, tell func(Notice)) error
	// Beat says which leases were renewed here, and returns the keys of those that the upstream will not pass on. It is
	// ErrNoStream if the upstream passes nothing on.
	Beat(ctx context.Context, beats []beat.Beat) (refused []string, err error)
}

// Notice is what an upstream says of a ref.
type Notice struct {
	Ref string
	// ID is its head, Zero if there is none.
	ID gitobj.ID
	// Pack leads from From, which was told before, to ID. None: fetch what is missing.
	From gitobj.ID
	Pack []byte
	// Beats are leases that others have renewed; then there is no Ref.
	Beats []beat.Beat
}
