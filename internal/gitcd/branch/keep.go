// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// Keep is the journal.Keep of a journal with branches: it yields what a
// checkpoint names, a store's own or a table of several, with the records held in it.
func Keep(checkpoint []byte, yield func(gitobj.Kind, gitobj.ID)) error {
	if !isTable(checkpoint) {
		return mvcc.KeptBy(checkpoint, yield)
	}
	t, err := decodeTable(checkpoint)
	if err != nil {
		return err
	}
	for _, e := range t {
		if e.payload != nil {
			if err := mvcc.KeptBy(e.payload, yield); err != nil {
				return fmt.Errorf("branch %s: %w", e.name, err)
			}
		}
		for _, k := range e.tail {
			if err := mvcc.KeptByRecord(k.record, yield); err != nil {
				return fmt.Errorf("branch %s: record %d: %w", e.name, k.seq, err)
			}
		}
	}
	return nil
}
