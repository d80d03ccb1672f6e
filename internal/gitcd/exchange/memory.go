// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// memory is how much of the repository an exchange remembers.
const memory = 8 << 20

// remembering is a repository that has what came last in memory: it is what the
// next that comes is compared with.
type remembering struct {
	Repository
	recent *transport.Recent
}

func remember(repo Repository) *remembering {
	return &remembering{Repository: repo, recent: transport.NewRecent(repo, memory)}
}

// Get reads what is remembered, or the repository.
func (r *remembering) Get(id gitobj.ID) (gitobj.Kind, []byte, error) { return r.recent.Get(id) }

// Has looks where Get does.
func (r *remembering) Has(id gitobj.ID) bool { return r.recent.Has(id) }

// Append writes to the repository, and remembers what it wrote.
func (r *remembering) Append(ctx context.Context, frames []journal.Frame, durable bool) ([]journal.Place, error) {
	places, err := r.Repository.Append(ctx, frames, durable)
	if err == nil {
		for i := range frames {
			r.recent.Keep(frames[i].Objects)
		}
	}
	return places, err
}
