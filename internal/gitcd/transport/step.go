// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Step returns the pack that takes who has one commit to a later one, as a fetch
// would. It is nil if that is large: then let them fetch. All who ask share one.
func (s *Server) Step(ctx context.Context, from, to gitobj.ID) []byte {
	q := &wanted{wants: []gitobj.ID{to}, flags: map[string]bool{"thin-pack": true}}
	have := []gitobj.ID{from}
	data, _ := s.packs.share(ctx, packKey(q.wants, have, true), func() ([]byte, int) { return s.smallPack(ctx, q, have) })
	return data
}

// Unpack takes a pack in as Fetch does: what the tips reach and the store
// lacks, verified (laws T1 to T4).
func Unpack(ctx context.Context, store Objects, data []byte, limits Limits, tips ...gitobj.ID) ([]Object, error) {
	came, err := readPack(ctx, bytes.NewReader(data), store, limits.withDefaults())
	if err == nil {
		came, err = Complete(ctx, store, came, tips)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return came, nil
}
