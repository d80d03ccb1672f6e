// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// clusterServer is etcd's Cluster service: one member, for ever.
type clusterServer struct {
	pb.UnsafeClusterServer
	*Server
}

var errOneMember = status.Error(codes.Unimplemented, "gitcd has one member: heavens are joined by merging their branches, not by adding members")

// MemberList lists the one member.
func (s *clusterServer) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	return &pb.MemberListResponse{
		Header:  s.header(s.store.Revision()),
		Members: []*pb.Member{{ID: s.o.MemberID, Name: s.o.Name, ClientURLs: s.o.ClientURLs, PeerURLs: s.o.PeerURLs}},
	}, nil
}

// MemberAdd is refused.
func (s *clusterServer) MemberAdd(context.Context, *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	return nil, errOneMember
}

// MemberRemove is refused.
func (s *clusterServer) MemberRemove(context.Context, *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	return nil, errOneMember
}

// MemberUpdate is refused.
func (s *clusterServer) MemberUpdate(context.Context, *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	return nil, errOneMember
}

// MemberPromote is refused.
func (s *clusterServer) MemberPromote(context.Context, *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	return nil, errOneMember
}
