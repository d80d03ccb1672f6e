// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// Txn does a transaction.
func (s *kvServer) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := checkTxn(r, s.o.MaxTxnOps); err != nil {
		return nil, err
	}
	if err := checkOverlaps(r); err != nil {
		return nil, err
	}
	if err := s.checkSize(r); err != nil {
		return nil, err
	}
	if err := s.heldTxn(r); err != nil {
		return nil, err
	}
	out, err := s.store.Txn(ctx, txn(r))
	if err != nil {
		return nil, speak(err)
	}
	return s.txnResponse(&out), nil
}

// checkSize refuses what etcd would not send through raft.
func (s *Server) checkSize(m proto.Message) error {
	if proto.Size(m) > s.o.MaxRequestBytes {
		return rpctypes.ErrGRPCRequestTooLarge
	}
	return nil
}

// checkTxn looks at each op, and counts ops per level against what the levels above have left.
func checkTxn(r *pb.TxnRequest, budget int) error {
	n := max(len(r.GetCompare()), len(r.GetSuccess()), len(r.GetFailure()))
	if n > budget {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.GetCompare() {
		if len(c.GetKey()) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range ops {
			if err := checkOp(op, budget-n); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOp(op *pb.RequestOp, budget int) error {
	switch o := op.GetRequest().(type) {
	case *pb.RequestOp_RequestRange:
		return checkRange(o.RequestRange)
	case *pb.RequestOp_RequestPut:
		return checkPut(o.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return checkDelete(o.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		return checkTxn(o.RequestTxn, budget)
	default:
		return rpctypes.ErrGRPCKeyNotFound
	}
}

func txn(r *pb.TxnRequest) mvcc.Txn {
	out := mvcc.Txn{Then: ops(r.Success), Else: ops(r.Failure)}
	if len(r.Compare) > 0 {
		out.If = make([]mvcc.Compare, len(r.Compare))
	}
	for i, c := range r.Compare {
		out.If[i] = compare(c)
	}
	return out
}

func ops(in []*pb.RequestOp) []mvcc.Op {
	out := make([]mvcc.Op, len(in))
	for i, op := range in {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			r := rangeRequest(o.RequestRange)
			out[i].Range = &r
		case *pb.RequestOp_RequestPut:
			out[i].Put = putOp(o.RequestPut)
		case *pb.RequestOp_RequestDeleteRange:
			out[i].Delete = deleteOp(o.RequestDeleteRange)
		case *pb.RequestOp_RequestTxn:
			t := txn(o.RequestTxn)
			out[i].Txn = &t
		}
	}
	return out
}

func compare(c *pb.Compare) mvcc.Compare {
	out := mvcc.Compare{Key: string(c.Key), End: string(c.RangeEnd), Relation: relation(c.Result)}
	switch c.Target {
	case pb.Compare_VERSION:
		out.Target, out.Number = mvcc.CompareVersion, c.GetVersion()
	case pb.Compare_CREATE:
		out.Target, out.Number = mvcc.CompareCreate, c.GetCreateRevision()
	case pb.Compare_MOD:
		out.Target, out.Number = mvcc.CompareMod, c.GetModRevision()
	case pb.Compare_VALUE:
		out.Target, out.Value = mvcc.CompareValue, c.GetValue()
	case pb.Compare_LEASE:
		out.Target, out.Number = mvcc.CompareLease, c.GetLease()
	}
	return out
}

func relation(r pb.Compare_CompareResult) mvcc.Relation {
	switch r {
	case pb.Compare_GREATER:
		return mvcc.Greater
	case pb.Compare_LESS:
		return mvcc.Less
	case pb.Compare_NOT_EQUAL:
		return mvcc.NotEqual
	default:
		return mvcc.Equal
	}
}

func (s *Server) txnResponse(r *mvcc.TxnResult) *pb.TxnResponse {
	out := &pb.TxnResponse{Header: s.header(r.Revision), Succeeded: r.Succeeded}
	for i := range r.Results {
		out.Responses = append(out.Responses, s.opResponse(&r.Results[i]))
	}
	return out
}

func (s *Server) opResponse(r *mvcc.OpResult) *pb.ResponseOp {
	switch {
	case r.Range != nil:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: s.rangeResponse(r.Range)}}
	case r.Put != nil:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: s.putResponse(r.Put)}}
	case r.Delete != nil:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: s.deleteResponse(r.Delete)}}
	default:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: s.txnResponse(r.Txn)}}
	}
}
