// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testbin.Path(t, name), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return string(out)
}

func dial(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 20 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// realEtcd starts an etcd on a data directory.
func realEtcd(t *testing.T, dir string) *clientv3.Client {
	t.Helper()
	client, peer := "http://"+freeAddr(t), "http://"+freeAddr(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), testbin.Path(t, "etcd"), "--name", "real", "--data-dir", dir,
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "real="+peer, "--unsafe-no-fsync", "--log-level", "warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, client)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if _, err := c.Get(ctx, "up"); err == nil {
			return c
		} else if ctx.Err() != nil {
			t.Fatalf("etcd does not come up: %v\n%s", err, log.String())
		}
	}
}

// gitcd serves a repository.
func gitcd(t *testing.T, dir string) (*clientv3.Client, *branch.Branch) {
	t.Helper()
	b, err := branch.Open(t.Context(), vfs.OS{}, dir, journal.Options{NoSync: true}, mvcc.Options{ValueBudget: 4 << 10, CheckpointBytes: 10 << 10})
	if err != nil {
		t.Fatal(err)
	}
	spool, err := snapshot.OpenSpool(filepath.Join(dir, "gitcd", "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(etcdapi.ServerOptions()...)
	etcdapi.NewServer(b.Store, etcdapi.Options{Upkeep: etcdapi.Upkeep{Spool: spool}}).Register(g)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); _ = b.Close(context.Background()) })
	return dial(t, l.Addr().String()), b
}

// traffic does the same to each of the clients.
type traffic struct {
	t       *testing.T
	random  *rand.Rand
	clients []*clientv3.Client
	rev     int64
}

func (w *traffic) each(do func(c *clientv3.Client) (int64, error)) {
	w.t.Helper()
	var revs []int64
	for _, c := range w.clients {
		rev, err := do(c)
		if err != nil {
			w.t.Fatal(err)
		}
		revs = append(revs, rev)
		w.rev = rev
	}
	if revs[0] != revs[len(revs)-1] {
		w.t.Fatalf("revisions differ: %v", revs)
	}
}

func (w *traffic) step() {
	w.t.Helper()
	key := func() string { return fmt.Sprintf("/k/%02d", w.random.IntN(40)) }
	value := func() string { return strings.Repeat(string(rune('a'+w.random.IntN(26))), w.random.IntN(50)) }
	lease := func() clientv3.LeaseID { return clientv3.LeaseID(w.random.IntN(3) + 1) }
	var ops []clientv3.Op
	used := map[string]bool{}
	for range 1 + w.random.IntN(6) {
		k := key()
		if used[k] {
			continue
		}
		used[k] = true
		switch w.random.IntN(8) {
		case 0, 1:
			ops = append(ops, clientv3.OpDelete(k))
		case 2:
			ops = append(ops, clientv3.OpPut(k, value(), clientv3.WithLease(lease())))
		default:
			ops = append(ops, clientv3.OpPut(k, value()))
		}
	}
	switch w.random.IntN(40) {
	case 0:
		ops = []clientv3.Op{clientv3.OpDelete("/k/1", clientv3.WithPrefix())}
	case 1:
		ops = []clientv3.Op{clientv3.OpDelete("/k/", clientv3.WithPrefix())}
	case 2:
		id := lease()
		w.each(func(c *clientv3.Client) (int64, error) {
			r, err := c.Revoke(w.t.Context(), id)
			if err != nil {
				return 0, err
			}
			_, err = pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(w.t.Context(), &pb.LeaseGrantRequest{ID: int64(id), TTL: 1000})
			return r.Header.Revision, err
		})
		return
	}
	w.each(func(c *clientv3.Client) (int64, error) {
		r, err := c.Txn(w.t.Context()).Then(ops...).Commit()
		if err != nil {
			return 0, err
		}
		return r.Header.Revision, nil
	})
}

func (w *traffic) grant() {
	w.t.Helper()
	for id := range int64(3) {
		w.each(func(c *clientv3.Client) (int64, error) {
			_, err := pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(w.t.Context(), &pb.LeaseGrantRequest{ID: id + 1, TTL: 1000})
			return 0, err
		})
	}
}

func hashOf(t *testing.T, c *clientv3.Client, rev int64) string {
	t.Helper()
	r, err := pb.NewMaintenanceClient(c.ActiveConnection()).HashKV(t.Context(), &pb.HashKVRequest{Revision: rev})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%08x of %d..%d at %d", r.Hash, r.CompactRevision, r.HashRevision, r.Header.Revision)
}

// sameHashes compares hashes at a few revisions, those around the compaction among them.
func (w *traffic) sameHashes(compacted int64) {
	w.t.Helper()
	revs := []int64{0, w.rev, w.rev + 1, compacted - 1, compacted + 1, compacted + 2}
	for range 8 {
		revs = append(revs, compacted+1+w.random.Int64N(max(w.rev-compacted, 1)))
	}
	for _, rev := range revs {
		var all []string
		for _, c := range w.clients {
			all = append(all, hashOf(w.t, c, rev))
		}
		for _, have := range all[1:] {
			if have != all[0] {
				w.t.Errorf("hash at %d of %d, compacted %d: etcd %s, gitcd %s", rev, w.rev, compacted, all[0], have)
			}
		}
	}
}

// TestSameHash does the same to etcd and to gitcd, and compares their hashes, also after compactions and restarts.
func TestSameHash(t *testing.T) {
	dir := t.TempDir()
	c, _ := gitcd(t, dir)
	w := &traffic{t: t, random: rand.New(rand.NewPCG(1, 2)), clients: []*clientv3.Client{realEtcd(t, t.TempDir()), c}}
	w.grant()
	w.sameHashes(0)
	compacted := int64(0)
	for range 6 {
		for range 60 {
			w.step()
		}
		w.sameHashes(compacted)
		compacted = w.rev - w.random.Int64N(30)
		before := hashOf(t, c, compacted) // to be remembered, as etcd does by itself
		for _, c := range w.clients {
			if have := hashOf(t, c, compacted); have != before {
				t.Errorf("hash at %d before its compaction: %s, gitcd's %s", compacted, have, before)
			}
		}
		w.each(func(c *clientv3.Client) (int64, error) {
			_, err := c.Compact(t.Context(), compacted, clientv3.WithCompactPhysical())
			return w.rev, err
		})
		w.sameHashes(compacted)
		for _, c := range w.clients {
			if have := hashOf(t, c, compacted); have != before {
				t.Errorf("hash at %d after its compaction: %s, was %s", compacted, have, before)
			}
		}
	}
	w.each(func(c *clientv3.Client) (int64, error) { // nothing is left: etcd hashes what was there at the compaction
		r, err := c.Delete(t.Context(), "", clientv3.WithFromKey())
		if err != nil {
			return 0, err
		}
		return r.Header.Revision, nil
	})
	w.sameHashes(compacted)
}

// state reads everything that a client can see: all keys, now and at each revision since the compaction, and leases.
func state(t *testing.T, c *clientv3.Client) string {
	t.Helper()
	var out strings.Builder
	now, err := c.Get(t.Context(), "", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	for rev := now.Header.Revision; rev > 0; rev-- {
		r, err := c.Get(t.Context(), "", clientv3.WithFromKey(), clientv3.WithRev(rev))
		if err != nil {
			fmt.Fprintf(&out, "%d: %v\n", rev, err)
			break
		}
		for _, kv := range r.Kvs {
			fmt.Fprintf(&out, "%d: %s=%s %d %d %d %d\n", rev, kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
		}
	}
	for id := range clientv3.LeaseID(3) {
		l, err := c.TimeToLive(t.Context(), id+1, clientv3.WithAttachedKeys())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "lease %d: %d %q\n", l.ID, l.GrantedTTL, l.Keys)
	}
	return out.String()
}

// restore has etcdutl make a data directory of a snapshot.
func restore(t *testing.T, file string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	run(t, "etcdutl", "snapshot", "restore", file, "--name", "real", "--data-dir", dir,
		"--initial-cluster", "real=http://127.0.0.1:1", "--initial-advertise-peer-urls", "http://127.0.0.1:1")
	return dir
}

// TestSnapshotIsEtcds restores a snapshot of gitcd's with etcd's own tools, and serves it with etcd.
func TestSnapshotIsEtcds(t *testing.T) {
	c, b := gitcd(t, t.TempDir())
	w := &traffic{t: t, random: rand.New(rand.NewPCG(3, 4)), clients: []*clientv3.Client{c}}
	w.grant()
	for i := range 200 {
		w.step()
		if i == 100 {
			if _, err := c.Compact(t.Context(), w.rev-20); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "s.db")
	run(t, "etcdctl", "--endpoints", c.Endpoints()[0], "snapshot", "save", file)
	var status struct {
		Revision int64 `json:"revision"`
		Keys     int   `json:"totalKey"`
	}
	if err := json.Unmarshal([]byte(run(t, "etcdutl", "snapshot", "status", file, "-w", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Revision != w.rev || status.Keys == 0 {
		t.Errorf("status %+v, want revision %d", status, w.rev)
	}
	served := realEtcd(t, restore(t, file))
	if diff := gocmp.Diff(state(t, c), state(t, served)); diff != "" {
		t.Errorf("-gitcd +etcd:\n%s", diff)
	}
	if have, want := hashOf(t, c, w.rev), hashOf(t, served, w.rev); have != want {
		t.Errorf("hash %s, etcd's %s", have, want)
	}
	if left, err := filepath.Glob(filepath.Join(t.TempDir(), "*.snapshot")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	_ = b
}

// TestSnapshotSum reads the stream as a client does that checks it itself.
func TestSnapshotSum(t *testing.T) {
	c, _ := gitcd(t, t.TempDir())
	for i := range 100 {
		if _, err := c.Put(t.Context(), strconv.Itoa(i), strings.Repeat("x", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil || len(data)%512 != 32 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	file := filepath.Join(t.TempDir(), "s.db")
	data[len(data)/2] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Open(file, false); err == nil {
		t.Error("a damaged snapshot opens")
	}
}
