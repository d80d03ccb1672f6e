// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"syscall"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maintenanceServer is etcd's Maintenance service.
type maintenanceServer struct {
	pb.UnsafeMaintenanceServer
	*Server
}

// Status says how the member is. kube-apiserver reads the version to know what it may ask for.
func (s *maintenanceServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	st := s.store.Status()
	size := s.o.DBSize()
	index := uint64(st.Revision) //nolint:gosec // revisions are positive
	out := &pb.StatusResponse{
		Header: s.header(st.Revision), Version: Version, StorageVersion: storageVersion,
		DbSize: size, DbSizeInUse: size, Leader: s.o.MemberID,
		RaftTerm: s.term(), RaftIndex: index, RaftAppliedIndex: index,
	}
	if err := s.store.Healthy(); err != nil {
		out.Errors = append(out.Errors, err.Error())
		out.Leader = 0
	}
	return out, nil
}

// Alarm lists alarms: there is one when the disk was full. It ends with a restart, not by request.
func (s *maintenanceServer) Alarm(_ context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	out := &pb.AlarmResponse{Header: s.header(s.store.Revision())}
	switch r.Action {
	case pb.AlarmRequest_GET:
		if errors.Is(s.store.Healthy(), syscall.ENOSPC) {
			out.Alarms = append(out.Alarms, &pb.AlarmMember{MemberID: s.o.MemberID, Alarm: pb.AlarmType_NOSPACE})
		}
		return out, nil
	case pb.AlarmRequest_DEACTIVATE:
		return out, nil
	default:
		return nil, status.Error(codes.Unimplemented, "gitcd raises its alarms itself; they cannot be raised by request")
	}
}

// Defragment is refused: the journal repacks itself.
func (s *maintenanceServer) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	return nil, status.Error(codes.Unimplemented, "gitcd needs no defragmentation: its journal seals and repacks itself")
}

// Hash is refused.
func (s *maintenanceServer) Hash(context.Context, *pb.HashRequest) (*pb.HashResponse, error) {
	return nil, status.Error(codes.Unimplemented, "gitcd has no backend file to hash: compare commit ids instead (git rev-parse <branch>)")
}

// HashKV is refused.
func (s *maintenanceServer) HashKV(context.Context, *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	return nil, status.Error(codes.Unimplemented, "gitcd does not hash revisions: compare tree ids instead (git rev-parse <branch>^{tree})")
}

// Snapshot is refused: a clone is the snapshot.
func (s *maintenanceServer) Snapshot(*pb.SnapshotRequest, pb.Maintenance_SnapshotServer) error {
	return status.Error(codes.Unimplemented, "gitcd's snapshot is a clone of its repository: git clone --mirror <repository>")
}

// MoveLeader is refused: there is one member.
func (s *maintenanceServer) MoveLeader(context.Context, *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	return nil, status.Error(codes.Unimplemented, "gitcd has one member: there is no leader to move")
}

// Downgrade is refused.
func (s *maintenanceServer) Downgrade(context.Context, *pb.DowngradeRequest) (*pb.DowngradeResponse, error) {
	return nil, status.Error(codes.Unimplemented, "gitcd is not downgraded by request: start the older version on the repository")
}
