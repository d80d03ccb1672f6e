// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
)

// snapshotChunk is how much of a snapshot one message carries, as etcd's do.
const snapshotChunk = 32 << 10

// Changes are a store's changes as etcd keeps them.
func Changes(p *mvcc.Past) snapshot.Changes {
	return func(ctx context.Context, yield func(*snapshot.Change) error) error {
		var out snapshot.Change
		return p.Each(ctx, func(c mvcc.Change) error {
			out = snapshot.Change{Revision: c.KV.ModRevision, Sub: c.Sub, Deleted: c.Deleted, Key: []byte(c.KV.Key)}
			if !c.Deleted {
				out.Value, out.Create, out.Version, out.Lease = c.KV.Value, c.KV.CreateRevision, c.KV.Version, int64(c.KV.Lease)
			}
			return yield(&out)
		})
	}
}

// sums are a store's changes as etcd hashes them: most values need not be read for that.
func sums(p *mvcc.Past) snapshot.Changes {
	return func(ctx context.Context, yield func(*snapshot.Change) error) error {
		var out snapshot.Change
		var key []byte
		return p.EachSum(ctx, func(c mvcc.Change) error {
			key = append(key[:0], c.KV.Key...)
			out = snapshot.Change{Revision: c.KV.ModRevision, Sub: c.Sub, Deleted: c.Deleted, Key: key}
			if !c.Deleted {
				out.Summed, out.Sum, out.Size = true, c.Sum, c.Size
				out.Create, out.Version, out.Lease = c.KV.CreateRevision, c.KV.Version, int64(c.KV.Lease)
			}
			return yield(&out)
		})
	}
}

// StateOf is what a snapshot of a store says beside its changes.
func StateOf(p *mvcc.Past, member snapshot.Member, term uint64) *snapshot.State {
	s := &snapshot.State{
		Revision: p.Revision, Compacted: p.Compacted, Member: member, Term: term,
		Index: uint64(p.Revision), ClusterVersion: storageVersion, StorageVersion: storageVersion, //nolint:gosec // revisions are positive
	}
	for _, l := range p.Leases {
		remaining := l.Remaining
		if remaining >= l.Granted-1 {
			remaining = 0
		}
		s.Leases = append(s.Leases, snapshot.Lease{ID: int64(l.ID), TTL: l.Granted, Remaining: max(remaining, 0)})
	}
	for _, a := range p.Alarms {
		s.Alarms = append(s.Alarms, snapshot.Alarm{Member: member.ID, Kind: int32(a)})
	}
	return s
}

// ImageOf is what a store loads to be what a snapshot says.
func ImageOf(s *snapshot.Snapshot) mvcc.Image {
	img := mvcc.Image{Revision: s.State.Revision, Compacted: s.State.Compacted}
	for _, l := range s.State.Leases {
		img.Leases = append(img.Leases, mvcc.Lease{ID: mvcc.LeaseID(l.ID), Granted: l.TTL, Remaining: l.Remaining})
	}
	img.Each = func(ctx context.Context, yield func(mvcc.Change) error) error {
		return s.Changes(ctx, func(c *snapshot.Change) error {
			return yield(mvcc.Change{Sub: c.Sub, Deleted: c.Deleted, KV: mvcc.KeyValue{
				Key: string(c.Key), Value: c.Value, CreateRevision: c.Create, ModRevision: c.Revision, Version: c.Version, Lease: mvcc.LeaseID(c.Lease),
			}})
		})
	}
	return img
}

func (s *Server) stateOf(p *mvcc.Past) *snapshot.State {
	return StateOf(p, snapshot.Member{ID: s.o.MemberID, Name: s.o.Name, PeerURLs: s.o.PeerURLs, ClientURLs: s.o.ClientURLs}, s.term())
}

// HashKV hashes the changes up to a revision as etcd does: equal stores have equal hashes.
func (s *maintenanceServer) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	if k, ok := s.hashes.of(r.Revision); ok && r.Revision == s.store.CompactRevision() {
		return s.hashResponse(s.store.Revision(), k), nil
	}
	p, err := s.store.PastForHash(ctx, r.Revision)
	if err != nil {
		return nil, speak(err)
	}
	h := snapshot.NewHashKV()
	err = sums(p)(ctx, func(c *snapshot.Change) error {
		h.Add(c)
		return nil
	})
	if err != nil {
		return nil, speak(err)
	}
	k := kvHash{revision: p.Revision, compacted: p.Compacted, sum: h.Sum()}
	s.hashes.add(k)
	return s.hashResponse(p.Current, k), nil
}

func (s *Server) hashResponse(revision int64, k kvHash) *pb.HashKVResponse {
	out := &pb.HashKVResponse{Header: s.header(revision), Hash: k.sum, HashRevision: k.revision, CompactRevision: k.compacted}
	if k.compacted == 0 {
		out.CompactRevision = -1 // so etcd says that there was no compaction
	}
	return out
}

// Hash hashes all that a snapshot has.
func (s *maintenanceServer) Hash(ctx context.Context, _ *pb.HashRequest) (*pb.HashResponse, error) {
	p, err := s.store.Past(ctx)
	if err != nil {
		return nil, speak(err)
	}
	sum, err := snapshot.Hash(ctx, s.stateOf(p), Changes(p))
	if err != nil {
		return nil, speak(err)
	}
	return &pb.HashResponse{Header: s.header(p.Current), Hash: sum}, nil
}

// Snapshot sends a database that etcd's own tools take for one of etcd's.
func (s *maintenanceServer) Snapshot(_ *pb.SnapshotRequest, stream pb.Maintenance_SnapshotServer) (err error) {
	if s.o.Upkeep.Spool == nil {
		return status.Error(codes.Unimplemented, "this store is in memory alone: there is nothing to be restored from it")
	}
	ctx := stream.Context()
	p, err := s.store.Past(ctx)
	if err != nil {
		return speak(err)
	}
	f, err := s.o.Upkeep.Spool.Write(ctx, s.stateOf(p), Changes(p))
	if err != nil {
		return speak(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := &snapshotSender{stream: stream}
	if err := f.Stream(func(size int64) { out.left = size }, out); err != nil {
		return speak(err)
	}
	return nil
}

// snapshotSender is a writer into a stream. The sum at the end is written, and
// sent, by itself.
type snapshotSender struct {
	stream pb.Maintenance_SnapshotServer
	left   int64
}

var _ io.Writer = (*snapshotSender)(nil)

// Write implements io.Writer. What is sent is copied: it is read after Send has returned.
func (w *snapshotSender) Write(b []byte) (int, error) {
	for sent := 0; sent < len(b); {
		blob := append([]byte(nil), b[sent:min(sent+snapshotChunk, len(b))]...)
		sent += len(blob)
		w.left -= int64(len(blob))
		err := w.stream.Send(&pb.SnapshotResponse{
			RemainingBytes: uint64(max(w.left, 0)), Blob: blob, Version: storageVersion,
		})
		if err != nil {
			return sent, err
		}
	}
	return len(b), nil
}
