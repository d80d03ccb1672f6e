// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// Range reads keys. All reads are linearizable: there is one member, and what it shows is durable.
func (s *kvServer) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := checkRange(r); err != nil {
		return nil, err
	}
	out, err := s.store.Range(ctx, rangeRequest(r))
	if err != nil {
		return nil, speak(err)
	}
	return s.rangeResponse(&out), nil
}

func (s *Server) rangeResponse(r *mvcc.RangeResult) *pb.RangeResponse {
	return &pb.RangeResponse{Header: s.header(r.Revision), Kvs: keyValues(r.KVs), Count: r.Count, More: r.More}
}

func checkRange(r *pb.RangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	_, order := pb.RangeRequest_SortOrder_name[int32(r.SortOrder)]
	_, target := pb.RangeRequest_SortTarget_name[int32(r.SortTarget)]
	if !order || !target {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	return nil
}

func rangeRequest(r *pb.RangeRequest) mvcc.RangeRequest {
	return mvcc.RangeRequest{
		Key: string(r.Key), End: string(r.RangeEnd), Revision: max(r.Revision, 0), Limit: r.Limit,
		KeysOnly: r.KeysOnly, CountOnly: r.CountOnly,
		MinModRevision: r.MinModRevision, MaxModRevision: r.MaxModRevision,
		MinCreateRevision: r.MinCreateRevision, MaxCreateRevision: r.MaxCreateRevision,
		SortTarget: sortTarget(r.SortTarget), SortOrder: sortOrder(r.SortOrder),
	}
}

func sortTarget(t pb.RangeRequest_SortTarget) mvcc.SortTarget {
	switch t {
	case pb.RangeRequest_VERSION:
		return mvcc.SortByVersion
	case pb.RangeRequest_CREATE:
		return mvcc.SortByCreate
	case pb.RangeRequest_MOD:
		return mvcc.SortByMod
	case pb.RangeRequest_VALUE:
		return mvcc.SortByValue
	default:
		return mvcc.SortByKey
	}
}

func sortOrder(o pb.RangeRequest_SortOrder) mvcc.SortOrder {
	switch o {
	case pb.RangeRequest_ASCEND:
		return mvcc.Ascending
	case pb.RangeRequest_DESCEND:
		return mvcc.Descending
	default:
		return mvcc.Unsorted
	}
}

// streamKeys is how many keys a chunk of a RangeStream has at most.
const streamKeys = 500

// RangeStream reads keys in chunks, all at one revision. The last chunk has what Range says beside the keys.
func (s *kvServer) RangeStream(r *pb.RangeRequest, stream pb.KV_RangeStreamServer) error {
	if err := checkRangeStream(r); err != nil {
		return err
	}
	page, left := rangeRequest(r), r.Limit
	var first *mvcc.RangeResult
	for {
		page.Limit = streamKeys
		if r.Limit > 0 {
			page.Limit = min(left, streamKeys)
		}
		out, err := s.store.Range(stream.Context(), page)
		if err != nil {
			return speak(err)
		}
		if first == nil {
			first = &out
			page.Revision = max(page.Revision, 0)
			if page.Revision == 0 {
				page.Revision = out.Revision
			}
		}
		left -= int64(len(out.KVs))
		done := !out.More || (r.Limit > 0 && left <= 0)
		chunk := &pb.RangeResponse{Kvs: keyValues(out.KVs)}
		if done {
			chunk.Header, chunk.More, chunk.Count = s.header(first.Revision), out.More, first.Count
		}
		if err := stream.Send(&pb.RangeStreamResponse{RangeResponse: chunk}); err != nil || done {
			return err
		}
		page.Key = last(out.KVs) + "\x00"
	}
}

// last returns the greatest key of a chunk, which may be in another order: without one, etcd sorts what it has read by the target.
func last(kvs []mvcc.KeyValue) (key string) {
	for i := range kvs {
		key = max(key, kvs[i].Key)
	}
	return key
}

func checkRangeStream(r *pb.RangeRequest) error {
	if err := checkRange(r); err != nil {
		return err
	}
	byKey := r.SortTarget == pb.RangeRequest_KEY && r.SortOrder != pb.RangeRequest_DESCEND
	if !byKey && r.SortOrder != pb.RangeRequest_NONE {
		return status.Error(codes.Unimplemented, "RangeStream does not support custom sort orders")
	}
	if r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0 {
		return status.Error(codes.Unimplemented, "RangeStream does not support revision filters")
	}
	return nil
}
