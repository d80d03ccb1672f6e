// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"math"
	"net"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// innerTarget names the connection in memory. Nothing resolves it.
const innerTarget = "passthrough:///gitcd"

// innerClient are the front's clients of itself. They connect when they are first used.
type innerClient struct {
	etcd *clientv3.Client
	conn *grpc.ClientConn // nil: no gateway
}

func (c *innerClient) close() {
	_ = c.etcd.Close() // what it held ends with the server
	if c.conn != nil {
		_ = c.conn.Close() // the same
	}
}

func (f *Front) innerOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return f.inner.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
	}
}

// registerRecipes adds etcd's lock and election services. They are recipes: transactions, leases and watches of a client.
func (f *Front) registerRecipes() error {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{innerTarget}, DialOptions: f.innerOptions(), Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	f.client.etcd = c
	v3lockpb.RegisterLockServer(f.grpc, v3lock.NewLockServer(c))
	v3electionpb.RegisterElectionServer(f.grpc, v3election.NewElectionServer(c))
	return nil
}
