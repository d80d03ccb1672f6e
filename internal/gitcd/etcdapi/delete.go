// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// DeleteRange deletes keys, all in one revision.
func (s *kvServer) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := checkDelete(r); err != nil {
		return nil, err
	}
	if err := s.heldDelete(r); err != nil {
		return nil, err
	}
	out, err := s.store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{{Delete: deleteOp(r)}}})
	if err != nil {
		return nil, speak(err)
	}
	return s.deleteResponse(out.Results[0].Delete), nil
}

func (s *Server) deleteResponse(r *mvcc.DeleteResult) *pb.DeleteRangeResponse {
	return &pb.DeleteRangeResponse{Header: s.header(r.Revision), Deleted: r.Deleted, PrevKvs: keyValues(r.Prev)}
}

func checkDelete(r *pb.DeleteRangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

func deleteOp(r *pb.DeleteRangeRequest) *mvcc.Delete {
	return &mvcc.Delete{Key: string(r.Key), End: string(r.RangeEnd), PrevKV: r.PrevKv}
}
