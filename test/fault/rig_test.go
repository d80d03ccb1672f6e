// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"math"
	"net"
	"path/filepath"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const dir = "/r.git"

// rig is a store on a disk in memory behind the API, with etcd's own client.
type rig struct {
	*clientv3.Client
	disk  *vfs.Mem
	b     *branch.Branch
	watch pb.WatchClient
	stop  func() // the servers
}

// small is a setting in which a short history does everything on the disk.
func small() journal.Options {
	return journal.Options{SegmentSize: 8 << 10, PublishInterval: 5 * time.Millisecond}
}

func storeOptions() mvcc.Options {
	return mvcc.Options{Branch: "refs/heads/x", Epoch: 1, CheckpointBytes: 4 << 10, ValueBudget: 1}
}

func start(t *testing.T, disk *vfs.Mem, jo journal.Options, so mvcc.Options) *rig {
	t.Helper()
	b, err := branch.Open(t.Context(), disk, dir, jo, so)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(etcdapi.ServerOptions()...)
	etcdapi.NewServer(b.Store, etcdapi.Options{}).Register(server)
	go func() { _ = server.Serve(l) }()
	endpoint := "unix://" + l.Addr().String()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Client: c, disk: disk, b: b, watch: pb.NewWatchClient(conn), stop: server.Stop}
	t.Cleanup(func() {
		_ = c.Close()
		_ = conn.Close()
		server.Stop()
		_ = b.Close(context.Background())
	})
	return r
}

// once calls a client's function with a deadline and without retries of ours.
func once[R any](t *testing.T, f func(ctx context.Context) (R, error)) (R, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return f(ctx)
}

// get returns a key's value, "" if it does not exist.
func (r *rig) get(t *testing.T, key string) string {
	t.Helper()
	have, err := r.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(have.Kvs) == 0 {
		return ""
	}
	return string(have.Kvs[0].Value)
}

// expect reads all keys from what a disk holds and compares them.
func expect(t *testing.T, disk *vfs.Mem, want map[string]string) {
	t.Helper()
	b, err := branch.Open(t.Context(), disk, dir, small(), storeOptions())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if have, _, err := b.Store.KeyState(key); err != nil || string(have) != value {
			t.Fatalf("%s is %.40q, %v; acknowledged is %.40q", key, have, err, value)
		}
	}
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := journal.Check(disk, dir, func(law, where string) { t.Errorf("%s is broken: %s", law, where) }); err != nil {
		t.Error(err)
	}
}
