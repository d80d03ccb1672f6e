// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"

	"github.com/coreos/go-semver/semver"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
)

// Upkeep is what the Maintenance service needs beside the store.
type Upkeep struct {
	// Spool is where snapshots are prepared. Without it there are none.
	Spool *snapshot.Spool
	// Repack makes the repository smaller. Default: there is nothing to be made smaller.
	Repack func(context.Context) error
	// InUse returns how many of the repository's bytes are in use. Default: all.
	InUse func() int64
	// Quota is the one that Status says.
	Quota int64
}

// maintenanceServer is etcd's Maintenance service. Snapshots and hashes are in export.go.
type maintenanceServer struct {
	pb.UnsafeMaintenanceServer
	*Server
}

// Status says how the member is. kube-apiserver reads the version to know what it may ask for.
func (s *maintenanceServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	st := s.store.Status()
	size := s.o.DBSize()
	inUse := size
	if s.o.Upkeep.InUse != nil {
		inUse = min(s.o.Upkeep.InUse(), size)
	}
	index := uint64(st.Revision) //nolint:gosec // revisions are positive
	out := &pb.StatusResponse{
		Header: s.header(st.Revision), Version: Version, StorageVersion: storageVersion,
		DbSize: size, DbSizeInUse: inUse, DbSizeQuota: s.o.Upkeep.Quota, Leader: s.o.MemberID,
		RaftTerm: s.term(), RaftIndex: index, RaftAppliedIndex: index, DowngradeInfo: &pb.DowngradeInfo{},
	}
	if err := s.store.Healthy(); err != nil {
		out.Errors = append(out.Errors, "etcdserver: no leader", err.Error())
		out.Leader = 0
	}
	for _, a := range s.alarms(pb.AlarmType_NONE) {
		out.Errors = append(out.Errors, a.String())
	}
	return out, nil
}

// alarms returns the alarms of a kind that are on, NONE being all kinds.
func (s *Server) alarms(kind pb.AlarmType) (out []*pb.AlarmMember) {
	for _, a := range s.store.Alarms() {
		if t := pb.AlarmType(a); kind == pb.AlarmType_NONE || kind == t {
			out = append(out, &pb.AlarmMember{MemberID: s.o.MemberID, Alarm: t})
		}
	}
	return out
}

// Alarm lists, raises and ends alarms. What it raised or ended is in the answer.
func (s *maintenanceServer) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	out := &pb.AlarmResponse{}
	known := r.Alarm == pb.AlarmType_NOSPACE || r.Alarm == pb.AlarmType_CORRUPT
	ours := r.MemberID == s.o.MemberID || r.MemberID == 0
	switch r.Action {
	case pb.AlarmRequest_GET:
		out.Alarms = s.alarms(r.Alarm)
	case pb.AlarmRequest_ACTIVATE:
		if !known || !ours {
			break
		}
		if err := s.store.SetAlarm(ctx, mvcc.Alarm(r.Alarm), true); err != nil { //nolint:gosec // it is one of two
			return nil, speak(err)
		}
		out.Alarms = s.alarms(r.Alarm)
	case pb.AlarmRequest_DEACTIVATE:
		if !known || !ours {
			break
		}
		out.Alarms = s.alarms(r.Alarm)
		if err := s.store.SetAlarm(ctx, mvcc.Alarm(r.Alarm), false); err != nil { //nolint:gosec // it is one of two
			return nil, speak(err)
		}
	}
	out.Header = s.header(s.store.Revision())
	return out, nil
}

// Defragment repacks the repository.
func (s *maintenanceServer) Defragment(ctx context.Context, _ *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	if s.o.Upkeep.Repack != nil {
		if err := s.o.Upkeep.Repack(ctx); err != nil {
			return nil, speak(err)
		}
	}
	return &pb.DefragmentResponse{}, nil
}

// MoveLeader leaves the leader where it is: there is one member.
func (s *maintenanceServer) MoveLeader(_ context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if r.TargetID != s.o.MemberID {
		return nil, rpctypes.ErrGRPCBadLeaderTransferee
	}
	return &pb.MoveLeaderResponse{Header: s.header(s.store.Revision())}, nil
}

// Downgrade says which versions could be gone back to, as etcd does, but none is gone back to by request.
func (s *maintenanceServer) Downgrade(_ context.Context, r *pb.DowngradeRequest) (*pb.DowngradeResponse, error) {
	have := semver.New(storageVersion)
	switch r.Action {
	case pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_ENABLE:
		want, err := semver.NewVersion(r.Version)
		if err != nil {
			if want, err = semver.NewVersion(r.Version + ".0"); err != nil {
				return nil, rpctypes.ErrGRPCWrongDowngradeVersionFormat
			}
		}
		if want.Major != have.Major || want.Minor != have.Minor-1 {
			return nil, rpctypes.ErrGRPCInvalidDowngradeTargetVersion
		}
		if r.Action == pb.DowngradeRequest_ENABLE {
			return nil, status.Error(codes.Unimplemented, "gitcd is not downgraded by request: start the older version on the repository")
		}
	case pb.DowngradeRequest_CANCEL:
	default:
		return nil, status.Error(codes.InvalidArgument, "unknown downgrade action")
	}
	return &pb.DowngradeResponse{Header: s.header(s.store.Revision()), Version: storageVersion[:len(storageVersion)-len(".0")]}, nil
}
