// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pull

import (
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
)

// Clone fetches a branch and makes it ours under the name of a ref that is not
// there yet. Nobody serves it: its store is opened afterwards.
func Clone(ctx context.Context, repo Repository, remote Remote, ref string, o Options) (gitobj.ID, error) {
	p := New(nil, repo, remote, o)
	head, err := p.head(ctx)
	if err == nil {
		err = p.fetch(ctx, head)
	}
	if err == nil {
		_, err = repo.Append(ctx, []journal.Frame{{Refs: []journal.RefUpdate{{Name: ref, New: head}}}}, true)
	}
	if err != nil {
		return gitobj.Zero, fmt.Errorf("clone %s of %s: %w", o.From, o.Name, err)
	}
	return head, nil
}
