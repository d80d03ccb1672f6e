// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	varint "encoding/binary"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// answered is a response with a header.
type answered interface {
	proto.Message
	GetHeader() *pb.ResponseHeader
}

// calls are what a client can ask for, with the types of question and answer.
var calls = []struct {
	method string
	ask    func() proto.Message
	answer func() answered
}{
	{"/etcdserverpb.KV/Range", func() proto.Message { return &pb.RangeRequest{} }, func() answered { return &pb.RangeResponse{} }},
	{"/etcdserverpb.KV/Put", func() proto.Message { return &pb.PutRequest{} }, func() answered { return &pb.PutResponse{} }},
	{"/etcdserverpb.KV/DeleteRange", func() proto.Message { return &pb.DeleteRangeRequest{} }, func() answered { return &pb.DeleteRangeResponse{} }},
	{"/etcdserverpb.KV/Txn", func() proto.Message { return &pb.TxnRequest{} }, func() answered { return &pb.TxnResponse{} }},
	{"/etcdserverpb.KV/Compact", func() proto.Message { return &pb.CompactionRequest{} }, func() answered { return &pb.CompactionResponse{} }},
	{"/etcdserverpb.Lease/LeaseGrant", func() proto.Message { return &pb.LeaseGrantRequest{} }, func() answered { return &pb.LeaseGrantResponse{} }},
	{"/etcdserverpb.Lease/LeaseRevoke", func() proto.Message { return &pb.LeaseRevokeRequest{} }, func() answered { return &pb.LeaseRevokeResponse{} }},
	{"/etcdserverpb.Lease/LeaseTimeToLive", func() proto.Message { return &pb.LeaseTimeToLiveRequest{} }, func() answered { return &pb.LeaseTimeToLiveResponse{} }},
	{"/etcdserverpb.Maintenance/Alarm", func() proto.Message { return &pb.AlarmRequest{} }, func() answered { return &pb.AlarmResponse{} }},
}

// FuzzRPC sends any sequence of requests: nothing panics, every refusal is a status that says something, and revisions only grow.
func FuzzRPC(f *testing.F) {
	add := func(parts ...any) {
		var out []byte
		for i := 0; i < len(parts); i += 2 {
			which, _ := parts[i].(int)
			message, _ := parts[i+1].(proto.Message)
			data, err := proto.Marshal(message)
			if err != nil {
				f.Fatal(err)
			}
			out = append(out, byte(which))
			out = varint.AppendUvarint(out, uint64(len(data)))
			out = append(out, data...)
		}
		f.Add(out)
	}
	put := &pb.PutRequest{Key: []byte("a"), Value: []byte("1"), PrevKv: true}
	add(1, put, 0, &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Limit: 1, SortOrder: pb.RangeRequest_DESCEND, SortTarget: pb.RangeRequest_VALUE})
	add(5, &pb.LeaseGrantRequest{ID: 7, TTL: 10}, 1, &pb.PutRequest{Key: []byte("b"), Lease: 7, IgnoreValue: true}, 7, &pb.LeaseTimeToLiveRequest{ID: 7, Keys: true}, 6, &pb.LeaseRevokeRequest{ID: 7})
	add(1, put, 4, &pb.CompactionRequest{Revision: 2, Physical: true}, 0, &pb.RangeRequest{Key: []byte("a"), Revision: 1})
	add(3, &pb.TxnRequest{
		Compare: []*pb.Compare{{Key: []byte("a"), RangeEnd: []byte("c"), Target: pb.Compare_VALUE, Result: pb.Compare_LESS, TargetUnion: &pb.Compare_Value{Value: []byte("2")}}},
		Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: put}}, {Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{}}}},
		Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: []byte{0}}}}},
	}, 2, &pb.DeleteRangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, PrevKv: true})
	add(20, &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte{0}, StartRevision: 1, PrevKv: true, Fragment: true}}}, 1, put)
	f.Fuzz(func(t *testing.T, script []byte) {
		server, store := fuzzServer(t)
		revision := int64(0)
		for n := 0; len(script) > 1 && n < 16; n++ {
			which := int(script[0])
			size, width := varint.Uvarint(script[1:])
			if width <= 0 || size > uint64(len(script)-1-width) {
				return
			}
			data := script[1+width : 1+width+int(size)]
			script = script[1+width+int(size):]
			if which >= 20 {
				watchOnce(t, server, data)
				continue
			}
			c := calls[which%len(calls)]
			ask, answer := c.ask(), c.answer()
			if proto.Unmarshal(data, ask) != nil {
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			err := server.invoke(ctx, c.method, data, answer)
			cancel()
			if s, ok := status.FromError(err); !ok || s.Code() == codes.Unknown && s.Message() == "" || s.Code() == codes.Internal || s.Code() == codes.DeadlineExceeded {
				t.Fatalf("%s(%v): %v", c.method, ask, err)
			}
			if err != nil {
				continue
			}
			if have := answer.GetHeader().GetRevision(); have < revision || have > store.Revision() {
				t.Fatalf("%s(%v): revision %d after %d, the store is at %d", c.method, ask, have, revision, store.Revision())
			}
			revision = answer.GetHeader().GetRevision()
		}
		if err := store.Healthy(); err != nil {
			t.Fatal(err)
		}
	})
}

// directly is a server without a connection: requests go to the handlers that
// gRPC would call, decoded as it does, so that a sequence takes microseconds.
type directly struct {
	unary   map[string]func(ctx context.Context, decode func(any) error) (any, error) // full method name -> handler
	streams map[string]func(grpc.ServerStream) error
}

// RegisterService implements grpc.ServiceRegistrar.
func (d *directly) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		d.unary["/"+desc.ServiceName+"/"+m.MethodName] = func(ctx context.Context, decode func(any) error) (any, error) {
			return m.Handler(impl, ctx, decode, nil)
		}
	}
	for _, m := range desc.Streams {
		d.streams["/"+desc.ServiceName+"/"+m.StreamName] = func(s grpc.ServerStream) error { return m.Handler(impl, s) }
	}
}

// invoke calls a method. What it answers must survive the way to the client.
func (d *directly) invoke(ctx context.Context, method string, data []byte, answer proto.Message) error {
	out, err := d.unary[method](ctx, func(into any) error {
		ask, _ := into.(proto.Message)
		return proto.Unmarshal(data, ask)
	})
	if err != nil {
		return err
	}
	message, _ := out.(proto.Message)
	sent, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	return proto.Unmarshal(sent, answer)
}

func fuzzServer(t *testing.T) (*directly, *mvcc.Store) {
	t.Helper()
	store, err := mvcc.Open(t.Context(), &mvcc.MemLog{}, mvcc.Options{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := &directly{unary: map[string]func(context.Context, func(any) error) (any, error){}, streams: map[string]func(grpc.ServerStream) error{}}
	etcdapi.NewServer(store, etcdapi.Options{}).Register(d)
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d, store
}

// oneAsk is a stream of a client that asks once, and hangs up after the first answer.
type oneAsk struct {
	grpc.ServerStream
	ctx    context.Context //nolint:containedctx // it is the stream's
	hangUp func()
	ask    chan proto.Message
}

func (s *oneAsk) Context() context.Context { return s.ctx }

func (s *oneAsk) RecvMsg(into any) error {
	select {
	case ask := <-s.ask:
		message, _ := into.(proto.Message)
		proto.Merge(message, ask)
		return nil
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
}

func (s *oneAsk) SendMsg(answer any) error {
	defer s.hangUp()
	switch a := answer.(type) {
	case proto.Message:
		_, err := proto.Marshal(a)
		return err
	default:
		return nil
	}
}

// watchOnce sends a request on a stream of its own.
func watchOnce(t *testing.T, server *directly, data []byte) {
	t.Helper()
	ask := &pb.WatchRequest{}
	if proto.Unmarshal(data, ask) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // some requests have no answer
	defer cancel()
	s := &oneAsk{ctx: ctx, hangUp: cancel, ask: make(chan proto.Message, 1)}
	s.ask <- ask
	err := server.streams["/etcdserverpb.Watch/Watch"](s)
	if st, ok := status.FromError(err); !ok || st.Code() == codes.Internal {
		t.Fatalf("watch %v: %v", ask, err)
	}
}
