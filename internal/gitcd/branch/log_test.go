// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"context"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc/logtest"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestJournalIsALog has the journal pass what the log in memory passes.
func TestJournalIsALog(t *testing.T) {
	dir := t.TempDir()
	var j *journal.Journal
	end := func() {
		if j == nil {
			return
		}
		if err := j.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	logtest.Run(t, func(t *testing.T) mvcc.Log {
		t.Helper()
		end()
		var err error
		if j, err = journal.Open(t.Context(), vfs.OS{}, dir, journal.Options{SegmentSize: 1 << 14}); err != nil {
			t.Fatal(err)
		}
		return log{j: j}
	})
}
