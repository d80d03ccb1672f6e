// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
)

// fake is a store that is only as good as a test wants it to be.
type fake struct {
	pb.UnimplementedKVServer

	slow    time.Duration // how long a write takes
	loses   int64         // every nth created key is acknowledged, and forgotten
	garbles bool          // values come back changed

	writes atomic.Int64
	mu     sync.Mutex
	rev    int64
	kvs    map[string]*mvccpb.KeyValue
}

func (f *fake) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: f.rev}}
	for k, kv := range f.kvs {
		if k == string(r.Key) || len(r.RangeEnd) > 0 && k >= string(r.Key) && k < string(r.RangeEnd) {
			out.Count++
			if !r.CountOnly {
				out.Kvs = append(out.Kvs, kv)
			}
		}
	}
	return out, nil
}

func (f *fake) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	time.Sleep(f.slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	put := r.Success[0].GetRequestPut()
	was := f.kvs[string(put.Key)]
	if was.GetModRevision() != r.Compare[0].GetModRevision() {
		return &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: f.rev}}, nil
	}
	f.rev++
	value := put.Value
	if f.garbles {
		value = append([]byte("x"), value[1:]...)
	}
	if n := f.writes.Add(1); f.loses == 0 || n%f.loses != 0 {
		f.kvs[string(put.Key)] = &mvccpb.KeyValue{Key: put.Key, Value: value, ModRevision: f.rev, CreateRevision: f.rev}
	}
	return &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: f.rev}, Succeeded: true}, nil
}

// peer serves a new copy of the fake each time it is started.
func (f *fake) peer(t *testing.T, name string) peer {
	t.Helper()
	return peer{name: name, start: func(ctx context.Context, dir string) (*server, error) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		g := grpc.NewServer()
		pb.RegisterKVServer(g, &fake{slow: f.slow, loses: f.loses, garbles: f.garbles, kvs: map[string]*mvccpb.KeyValue{}})
		go func() { _ = g.Serve(l) }()
		t.Cleanup(g.Stop)
		return &server{name: name, dir: dir, endpoint: l.Addr().String(), pid: os.Getpid()}, nil
	}}
}

// measure runs the writes of a bench against two fakes and returns the verdicts.
func measure(t *testing.T, theirs, ours *fake) map[string]verdict {
	t.Helper()
	b := &bench{
		peers: []peer{theirs.peer(t, etcd), ours.peer(t, gitcd)}, table: newTable(specs()), dir: t.TempDir(), disk: newDiskTimes(),
		scale: scale{rounds: 3, length: 300 * time.Millisecond, warm: 20 * time.Millisecond}, progress: t.Output(), began: time.Now(),
	}
	for round := range b.scale.rounds {
		f, err := b.start(t.Context(), round, "create.", b.peers)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.each(t.Context(), "create.16.", func(ctx context.Context, s *server) error { return b.create(ctx, s, 16) }); err != nil {
			t.Fatal(err)
		}
		if err := f.each(t.Context(), "update.16.", func(ctx context.Context, s *server) error {
			held, err := b.objects(ctx, s, "deployments", 160)
			if err != nil {
				return err
			}
			return b.update(ctx, s, 16, held)
		}); err != nil {
			t.Fatal(err)
		}
		if err := f.stop(); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]verdict{}
	for _, v := range b.table.judge() {
		out[v.id] = v
	}
	return out
}

// TestSlowServerIsFound is law B6: a server that takes ten times as long has
// a fraction of the rate, and misses its bars.
func TestSlowServerIsFound(t *testing.T) {
	got := measure(t, &fake{slow: 10 * time.Millisecond}, &fake{slow: 100 * time.Millisecond})
	for _, work := range []string{"create.16.", "update.16."} {
		if v := got[work+"rate"]; v.ok || v.ratio < 0.02 || v.ratio > 0.5 || v.rounds != 3 {
			t.Errorf("%s: ratio %.2f, ok %v, of %d rounds; a tenth was expected, of 3", v.id, v.ratio, v.ok, v.rounds)
		}
		if v := got[work+"p99"]; v.ok || v.ratio < 1.5 {
			t.Errorf("%s: ratio %.2f, ok %v", v.id, v.ratio, v.ok)
		}
		if v := got[work+"p50"]; v.ratio < 1.5 {
			t.Errorf("%s: ratio %.2f; it should be about 10", v.id, v.ratio)
		}
	}
	got = measure(t, &fake{slow: 100 * time.Millisecond}, &fake{slow: 10 * time.Millisecond})
	if v := got["create.16.rate"]; !v.ok || v.ratio < 2 {
		t.Errorf("the faster server: %s: ratio %.2f, ok %v", v.id, v.ratio, v.ok)
	}
}

// TestWrongResultsFailTheRow is law B3.
func TestWrongResultsFailTheRow(t *testing.T) {
	for name, bad := range map[string]*fake{"loses a write": {loses: 40}, "garbles values": {garbles: true}} {
		t.Run(name, func(t *testing.T) {
			got := measure(t, &fake{}, bad)
			v := got["create.16.rate"]
			if v.ok || v.errors[gitcd] == "" || v.errors[etcd] != "" {
				t.Errorf("%s: ok %v, errors %v", v.id, v.ok, v.errors)
			}
			if _, there := v.medians[gitcd]; there {
				t.Error("a failed row has a number (law B7)")
			}
		})
	}
}

// TestTurns is law B1: in each phase each server has its turn, and the order
// turns around with the rounds. One that fails has no turn more.
func TestTurns(t *testing.T) {
	b := &bench{
		peers: []peer{(&fake{}).peer(t, etcd), (&fake{}).peer(t, gitcd), (&fake{}).peer(t, kine)}, table: newTable(specs()),
		dir: t.TempDir(), progress: t.Output(), began: time.Now(),
	}
	var turns []string
	for round := range 2 {
		f, err := b.start(t.Context(), round, "create.", b.peers)
		if err != nil {
			t.Fatal(err)
		}
		for _, phase := range []string{"create.1.", "create.16."} {
			if err := f.each(t.Context(), phase, func(_ context.Context, s *server) error {
				turns = append(turns, s.name)
				if s.name == gitcd && round == 1 {
					return errors.New("gone")
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.stop(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{etcd, gitcd, kine, etcd, gitcd, kine, kine, gitcd, etcd, kine, etcd}
	if !slices.Equal(turns, want) {
		t.Errorf("turns were %v, not %v", turns, want)
	}
	if c := b.table.cells["create.1.rate"][gitcd]; c == nil || c.Error != "gone" {
		t.Errorf("the phase that failed has %+v", c)
	}
	if c := b.table.cells["create.16.rate"][gitcd]; c != nil {
		t.Errorf("a phase that was not begun has %+v", c)
	}
}

// TestUnflushedWritesFailTheRow is law B2.
func TestUnflushedWritesFailTheRow(t *testing.T) {
	s := &server{name: gitcd, disk: diskOf(t.TempDir())}
	if s.disk.stat == "" {
		s.disk = disk{stat: "/proc/self/stat", name: "sda"}
	}
	s.cmd = exec.Command("true") // only whether there is one counts
	if err := durable(s, outcome{calls: 1000, used: usage{flushes: 999}}); err != nil {
		t.Error(err)
	}
	if err := durable(s, outcome{calls: 1000, used: usage{flushes: 10}}); err == nil {
		t.Error("a server that flushed the disk 10 times for 1000 writes is taken for durable")
	}
}

// TestValuesDiffer is law B4.
func TestValuesDiffer(t *testing.T) {
	for _, random := range []bool{false, true} {
		seen := map[string]bool{}
		a, b := newValues(1, random), newValues(2, random)
		for range 5000 {
			for _, v := range []*values{a, b} {
				value := v.next()
				if len(value) != valueSize || seen[value] {
					t.Fatalf("a value of %d bytes, seen before: %v", len(value), seen[value])
				}
				seen[value] = true
			}
		}
	}
	v := newValues(3, false)
	n, err := v.stamp([]byte(v.stamped(1234567890123)))
	if err != nil || n != 1234567890123 {
		t.Errorf("the stamp came back as %d, %v", n, err)
	}
}
