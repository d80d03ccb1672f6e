// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import "context"

// Pass is one round of Run, for a test that decides when.
func (h *Hub) Pass(ctx context.Context) error {
	_, err := h.pass(ctx)
	return err
}

// KeepAtMost bounds how many entries a branch has in quarantine.
func (h *Hub) KeepAtMost(n int) { h.keeper.most = n }
