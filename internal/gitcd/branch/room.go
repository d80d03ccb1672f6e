// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// room says in a store's words that there was no room, and that nothing was written.
func room(err error) error {
	if errors.Is(err, journal.ErrFailed) || !errors.Is(err, journal.ErrNoSpace) && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return fmt.Errorf("%w: %w", mvcc.ErrNoSpace, err)
}
