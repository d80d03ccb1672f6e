// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Compact forgets what is older than a revision.
func (s *kvServer) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	revision, err := s.store.Compact(ctx, r.Revision, r.Physical)
	if err != nil {
		return nil, speak(err)
	}
	return &pb.CompactionResponse{Header: s.header(revision)}, nil
}
