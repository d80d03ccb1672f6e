// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// TestPhysicalCompactionsMeet has several clients compact and wait for the memory, at once.
func TestPhysicalCompactionsMeet(t *testing.T) {
	s := open(t, &mvcc.MemLog{}, mvcc.Options{})
	var group sync.WaitGroup
	for client := range 4 {
		group.Go(func() {
			for i := range 500 {
				r, err := s.Txn(t.Context(), put(fmt.Sprintf("/%d", client), fmt.Sprint(i)))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Compact(t.Context(), r.Revision, true); err != nil && !errors.Is(err, mvcc.ErrCompacted) {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
