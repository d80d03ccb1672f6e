// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// authServer is etcd's Auth service, of a server that has no users: who may
// connect is decided by the listener, with client certificates or file permissions.
// The embedded server answers Unimplemented to all that manages users and roles.
type authServer struct {
	pb.UnimplementedAuthServer
	*Server
}

// AuthStatus says that there is no authentication by user.
func (s *authServer) AuthStatus(context.Context, *pb.AuthStatusRequest) (*pb.AuthStatusResponse, error) {
	return &pb.AuthStatusResponse{Header: s.header(s.store.Revision())}, nil
}

// Authenticate is refused as etcd does without users.
func (s *authServer) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return nil, rpctypes.ErrGRPCAuthNotEnabled
}
