// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// leaseServer is etcd's Lease service.
type leaseServer struct {
	pb.UnsafeLeaseServer
	*Server
}

// LeaseGrant makes a lease.
func (s *leaseServer) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	l, err := s.store.Grant(ctx, mvcc.LeaseID(r.ID), r.TTL)
	if err != nil {
		return nil, speak(err)
	}
	return &pb.LeaseGrantResponse{Header: s.header(s.store.Revision()), ID: int64(l.ID), TTL: l.Granted}, nil
}

// LeaseRevoke ends a lease and deletes its keys.
func (s *leaseServer) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	revision, err := s.store.Revoke(ctx, mvcc.LeaseID(r.ID))
	if err != nil {
		return nil, speak(err)
	}
	return &pb.LeaseRevokeResponse{Header: s.header(revision)}, nil
}

// LeaseKeepAlive gives leases their time again. An unknown lease has a TTL of 0; that is no error.
func (s *leaseServer) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// The header is made first: a client must not see a revision at which the lease was gone already.
		out := &pb.LeaseKeepAliveResponse{Header: s.header(s.store.Revision()), ID: r.ID}
		out.TTL, err = s.store.KeepAlive(stream.Context(), mvcc.LeaseID(r.ID))
		if err != nil && !errors.Is(err, mvcc.ErrLeaseNotFound) {
			return speak(err)
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// LeaseTimeToLive describes a lease. An unknown one has a TTL of -1; that is no error.
func (s *leaseServer) LeaseTimeToLive(_ context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	out := &pb.LeaseTimeToLiveResponse{Header: s.header(s.store.Revision()), ID: r.ID, TTL: -1}
	l, err := s.store.Lease(mvcc.LeaseID(r.ID), r.Keys)
	if errors.Is(err, mvcc.ErrLeaseNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, speak(err)
	}
	out.TTL, out.GrantedTTL = l.Remaining, l.Granted
	for _, key := range l.Keys {
		out.Keys = append(out.Keys, []byte(key))
	}
	return out, nil
}

// LeaseLeases lists the leases.
func (s *leaseServer) LeaseLeases(context.Context, *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	out := &pb.LeaseLeasesResponse{Header: s.header(s.store.Revision())}
	for _, l := range s.store.Leases() {
		out.Leases = append(out.Leases, &pb.LeaseStatus{ID: int64(l.ID)})
	}
	return out, nil
}
