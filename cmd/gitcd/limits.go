// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/url"
	"path/filepath"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
)

// autoCompact says what a store compacts without being asked for.
func autoCompact(l gitcdv1.Limits) mvcc.AutoCompact {
	switch {
	case l.CompactAfter.Duration > 0:
		return mvcc.AutoCompact{Mode: mvcc.CompactPeriodic, Retention: l.CompactAfter.Duration}
	case l.CompactBeyond > 0:
		return mvcc.AutoCompact{Mode: mvcc.CompactByRevision, Revisions: l.CompactBeyond}
	default:
		return mvcc.AutoCompact{}
	}
}

// openSpool opens the place for a branch's snapshots on their way out, in its repository.
func openSpool(c *gitcdv1.Config) (*snapshot.Spool, error) {
	return snapshot.OpenSpool(filepath.Join(c.Repository, "gitcd", "tmp", url.PathEscape(c.Branch)))
}
