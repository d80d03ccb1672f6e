// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// Put sets a key.
func (s *kvServer) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := checkPut(r); err != nil {
		return nil, err
	}
	if err := s.checkSize(r); err != nil {
		return nil, err
	}
	if err := s.heldPut(r); err != nil {
		return nil, err
	}
	out, err := s.store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{{Put: putOp(r)}}})
	if err != nil {
		return nil, speak(err)
	}
	return s.putResponse(out.Results[0].Put), nil
}

func (s *Server) putResponse(r *mvcc.PutResult) *pb.PutResponse {
	return &pb.PutResponse{Header: s.header(r.Revision), PrevKv: keyValue(r.Prev)}
}

func checkPut(r *pb.PutRequest) error {
	switch {
	case len(r.GetKey()) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case r.IgnoreValue && len(r.Value) != 0:
		return rpctypes.ErrGRPCValueProvided
	case r.IgnoreLease && r.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	default:
		return nil
	}
}

func putOp(r *pb.PutRequest) *mvcc.Put {
	return &mvcc.Put{
		Key: string(r.Key), Value: r.Value, Lease: mvcc.LeaseID(r.Lease), PrevKV: r.PrevKv,
		IgnoreValue: r.IgnoreValue, IgnoreLease: r.IgnoreLease,
	}
}
