// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// callCodes is one more than the last gRPC code.
const callCodes = int(codes.Unauthenticated) + 1

// call counts the calls of one method. It is there before the first call, so that counting takes no lock and no memory.
type call struct {
	service, method, kind   string
	started, received, sent atomic.Int64
	handled                 [callCodes]atomic.Int64
	took                    mvcc.Histogram
}

// calls are all methods that there are.
type calls struct {
	byName    map[string]*call // full method name -> its counters
	extensive bool
}

func newCalls(extensive bool) *calls { return &calls{byName: map[string]*call{}, extensive: extensive} }

// know makes counters for what a server serves.
func (c *calls) know(g *grpc.Server) {
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			kind := "unary"
			switch {
			case m.IsClientStream && m.IsServerStream:
				kind = "bidi_stream"
			case m.IsServerStream:
				kind = "server_stream"
			case m.IsClientStream:
				kind = "client_stream"
			}
			c.byName["/"+service+"/"+m.Name] = &call{service: service, method: m.Name, kind: kind}
		}
	}
}

func (c *call) end(err error) {
	code := int(status.Code(err))
	if errors.Is(err, context.Canceled) { // as gRPC tells the client
		code = int(codes.Canceled)
	}
	if code >= callCodes {
		code = int(codes.Unknown)
	}
	c.handled[code].Add(1)
}

// refuses says why nothing is taken, nil if it is.
func (f *Front) refuses() error {
	if f.stopped.Load() && !f.cut.Load() {
		return rpctypes.ErrGRPCStopped
	}
	return f.withholds()
}

// withholds says why nothing may be answered, nil if it may.
func (f *Front) withholds() error {
	if f.cut.Load() || f.o.Refuse != nil && f.o.Refuse() {
		return rpctypes.ErrGRPCNoLeader
	}
	return nil
}

// unary counts a call, and refuses it before and after: nothing is
// acknowledged that a lost branch would not keep.
func (f *Front) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	c := f.calls.byName[info.FullMethod]
	c.started.Add(1)
	c.received.Add(1)
	var began time.Time
	timed := f.calls.extensive || f.o.Slow > 0
	if timed {
		began = f.Server.o.Clock.Now()
	}
	if err = f.refuses(); err == nil {
		resp, err = next(ctx, req)
		if lost := f.withholds(); lost != nil {
			resp, err = nil, lost
		}
	}
	if err == nil {
		c.sent.Add(1)
	}
	c.end(err)
	if timed {
		f.took(ctx, c, f.Server.o.Clock.Since(began), err)
	}
	return resp, err
}

// took notes how long a call was under way.
func (f *Front) took(ctx context.Context, c *call, d time.Duration, err error) {
	if f.calls.extensive {
		c.took.Observe(d)
	}
	if f.o.Slow > 0 && d >= f.o.Slow {
		f.o.Log.WarnContext(ctx, "request stats", "method", c.service+"/"+c.method, "time spent", d.String(), "expected-duration", f.o.Slow.String(), "error", err)
	}
}

// stream counts a stream, and ends it when serving ends: its handler sees its
// context end, or is left waiting for a client whom gRPC then cuts off.
func (f *Front) stream(srv any, in grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	c := f.calls.byName[info.FullMethod]
	c.started.Add(1)
	if err := f.refuses(); err != nil {
		c.end(err)
		return err
	}
	ctx, cancel := context.WithCancelCause(in.Context())
	defer cancel(nil)
	s := &counted{ServerStream: in, ctx: ctx, call: c}
	var err error
	if _, fast := srv.(*kvServer); fast { // a long read, not one that lasts
		err = next(srv, s)
	} else {
		err = f.lasting(cancel, func() error { return next(srv, s) })
	}
	c.end(err)
	return err
}

// lasting runs a stream's handler until it ends or serving does.
func (f *Front) lasting(cancel context.CancelCauseFunc, handle func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- handle() }()
	select {
	case err := <-ended:
		return err
	case <-f.stopping:
	}
	cancel(errStopping)
	timer := f.Server.o.Clock.NewTimer(streamGrace)
	defer timer.Stop()
	select {
	case <-ended: //nolint:errcheck // what it says is that its context has ended
	case <-timer.C(): // it waits for the client
	}
	return rpctypes.ErrGRPCStopped
}

// streamGrace is how long a handler has to see that its context has ended, and to finish what it is sending.
const streamGrace = 100 * time.Millisecond

var errStopping = errors.New("serving ends")

// counted is a stream whose messages are counted, and that can be ended from here.
type counted struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // that is what a ServerStream does
	call *call
}

// Context implements grpc.ServerStream.
func (s *counted) Context() context.Context { return s.ctx }

// SendMsg implements grpc.ServerStream.
func (s *counted) SendMsg(m any) error {
	err := s.ServerStream.SendMsg(m)
	if err == nil {
		s.call.sent.Add(1)
	}
	return err
}

// RecvMsg implements grpc.ServerStream.
func (s *counted) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.call.received.Add(1)
	}
	return err
}

// codeName is how Prometheus's gRPC metrics spell a code.
func codeName(code int) string { return strings.TrimSpace(codes.Code(uint32(code)).String()) } //nolint:gosec // below callCodes
