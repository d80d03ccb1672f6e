// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import "context"

// Save checkpoints the index as it is: what was recorded before need not be replayed.
func (s *Store) Save(ctx context.Context) error {
	if s.log == nil {
		return nil
	}
	return s.checkpointNow(ctx)
}
