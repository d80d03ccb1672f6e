// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// held refuses to write keys that are held. etcd has no word for it; FailedPrecondition is not tried again by itself.
func (s *Server) held(key, end []byte) error {
	if s.o.Held == nil || !s.o.Held(string(key), string(end)) {
		return nil
	}
	return status.Errorf(codes.FailedPrecondition,
		"gitcd: writes of %s are on hold while the upstream is out of touch, and for a while after; reads and other writes go on", key)
}

func (s *Server) heldPut(r *pb.PutRequest) error { return s.held(r.GetKey(), nil) }

func (s *Server) heldDelete(r *pb.DeleteRangeRequest) error {
	return s.held(r.GetKey(), r.GetRangeEnd())
}

// heldTxn looks at both branches: which one is taken is not known before.
func (s *Server) heldTxn(r *pb.TxnRequest) error {
	if s.o.Held == nil {
		return nil
	}
	for _, ops := range [][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range ops {
			var err error
			switch o := op.GetRequest().(type) {
			case *pb.RequestOp_RequestPut:
				err = s.heldPut(o.RequestPut)
			case *pb.RequestOp_RequestDeleteRange:
				err = s.heldDelete(o.RequestDeleteRange)
			case *pb.RequestOp_RequestTxn:
				err = s.heldTxn(o.RequestTxn)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
