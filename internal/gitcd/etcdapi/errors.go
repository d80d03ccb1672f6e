// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"syscall"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// spoken says in etcd's words what the store says in its own. The first row that matches is it.
var spoken = []struct{ ours, theirs error }{
	{mvcc.ErrCompacted, rpctypes.ErrGRPCCompacted},
	{mvcc.ErrFutureRev, rpctypes.ErrGRPCFutureRev},
	{mvcc.ErrKeyNotFound, rpctypes.ErrGRPCKeyNotFound},
	{mvcc.ErrLeaseNotFound, rpctypes.ErrGRPCLeaseNotFound},
	{mvcc.ErrLeaseExists, rpctypes.ErrGRPCLeaseExist},
	{mvcc.ErrLeaseTTLTooLarge, rpctypes.ErrGRPCLeaseTTLTooLarge},
	{mvcc.ErrClosed, rpctypes.ErrGRPCStopped},
	{mvcc.ErrNoSpace, rpctypes.ErrGRPCNoSpace},
	{mvcc.ErrCorrupt, rpctypes.ErrGRPCCorrupt},
	{syscall.ENOSPC, rpctypes.ErrGRPCNoSpace},
	{mvcc.ErrFailed, rpctypes.ErrGRPCNoLeader},
	{context.Canceled, rpctypes.ErrGRPCCanceled},
	{context.DeadlineExceeded, status.Error(codes.DeadlineExceeded, context.DeadlineExceeded.Error())},
}

// speak turns a store's error into one that etcd's clients know.
func speak(err error) error {
	if err == nil {
		return nil
	}
	for _, s := range spoken {
		if errors.Is(err, s.ours) {
			return s.theirs
		}
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if errors.Is(err, mvcc.ErrNoPlace) { // etcd has no words for it
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}
