// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// watchServer is etcd's Watch service.
type watchServer struct {
	pb.UnsafeWatchServer
	*Server
}

// Watch serves a stream of watches. One goroutine takes requests, this one
// sends everything, in the order in which the store's stream says it.
func (s *watchServer) Watch(stream pb.Watch_WatchServer) error {
	watches := s.store.Watch()
	defer watches.Close()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		// A client that has nothing more to ask goes on listening.
		if take(stream, watches) != nil {
			cancel()
		}
	}()
	go s.tick(ctx, watches)
	for {
		r, err := watches.Next(ctx)
		if err == nil {
			err = s.send(stream, &r)
		}
		if err != nil {
			return ended(err)
		}
	}
}

// ended says in etcd's words why a stream ends.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return rpctypes.ErrGRPCWatchCanceled
	}
	return speak(err)
}

// take hands the client's requests to the store until there are no more, or the client goes away.
func take(stream pb.Watch_WatchServer, watches *mvcc.WatchStream) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := watches.Room(stream.Context()); err != nil {
			return err
		}
		switch u := r.RequestUnion.(type) {
		case *pb.WatchRequest_CreateRequest:
			if u.CreateRequest != nil {
				watches.Create(watchRequest(u.CreateRequest))
			}
		case *pb.WatchRequest_CancelRequest:
			if u.CancelRequest != nil {
				_ = watches.Cancel(mvcc.WatchID(u.CancelRequest.WatchId)) // etcd does not answer for a watch that is not there
			}
		case *pb.WatchRequest_ProgressRequest:
			watches.RequestProgress()
		}
	}
}

func watchRequest(r *pb.WatchCreateRequest) mvcc.WatchRequest {
	out := mvcc.WatchRequest{
		ID: mvcc.WatchID(r.WatchId), Key: string(r.Key), End: string(r.RangeEnd), Start: r.StartRevision,
		PrevKV: r.PrevKv, Progress: r.ProgressNotify, Fragment: r.Fragment,
	}
	if len(r.Key) == 0 {
		out.Key = "\x00" // the first key there can be
	}
	for _, f := range r.Filters {
		switch f {
		case pb.WatchCreateRequest_NOPUT:
			out.NoPut = true
		case pb.WatchCreateRequest_NODELETE:
			out.NoDelete = true
		}
	}
	return out
}

// tick makes quiet watches say from time to time how far they are; not all streams at once.
func (s *watchServer) tick(ctx context.Context, watches *mvcc.WatchStream) {
	every := s.o.ProgressInterval
	every += time.Duration(rand.Int64N(int64(every)/10 + 1)) //nolint:gosec // spreads load, keeps no secret
	ticker := s.o.Clock.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			watches.Tick()
		case <-ctx.Done():
			return
		}
	}
}

func (s *watchServer) send(stream pb.Watch_WatchServer, r *mvcc.WatchResponse) error {
	out := &pb.WatchResponse{
		Header: s.header(r.Revision), WatchId: int64(r.ID), Created: r.Created, Canceled: r.Canceled,
		CompactRevision: r.CompactRevision, Events: events(r.Events),
	}
	switch {
	case errors.Is(r.Err, mvcc.ErrCompacted):
		out.CancelReason = rpctypes.ErrCompacted.Error()
	case r.Err != nil:
		out.CancelReason = r.Err.Error()
	}
	if !r.Fragment || len(out.Events) < 2 || proto.Size(out) < maxRequestBytes {
		return stream.Send(out)
	}
	return sendFragments(stream, out)
}

// sendFragments sends a large response in several; all but the last say that there are more.
func sendFragments(stream pb.Watch_WatchServer, whole *pb.WatchResponse) error {
	part := func(events []*mvccpb.Event, more bool) error {
		return stream.Send(&pb.WatchResponse{Header: whole.Header, WatchId: whole.WatchId, Events: events, Fragment: more})
	}
	first, size := 0, 0
	for i, ev := range whole.Events {
		n := proto.Size(ev)
		if i > first && size+n >= maxRequestBytes {
			if err := part(whole.Events[first:i], true); err != nil {
				return err
			}
			first, size = i, 0
		}
		size += n
	}
	return part(whole.Events[first:], false)
}

func events(in []mvcc.Event) []*mvccpb.Event {
	if len(in) == 0 {
		return nil
	}
	out := make([]*mvccpb.Event, len(in))
	for i := range in {
		out[i] = &mvccpb.Event{Kv: keyValue(&in[i].KV), PrevKv: keyValue(in[i].Prev)}
		if in[i].Type == mvcc.EventDelete {
			out[i].Type = mvccpb.Event_DELETE
		}
	}
	return out
}
