// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// create opens a stream with one watch.
func create(ctx context.Context, t *testing.T, w pb.WatchClient, r *pb.WatchCreateRequest) pb.Watch_WatchClient {
	t.Helper()
	stream, err := w.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}}); err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestF5ClientsThatDoNotRead runs a real gitcd with watchers and lists that nobody reads: others are as quick as
// without them, and the process does not grow with what it has not sent.
func TestF5ClientsThatDoNotRead(t *testing.T) {
	s := startProcess(t, t.TempDir()+"/r.git")
	value := strings.Repeat("x", 1024)
	round := func(from, n int) (p99 time.Duration) {
		took := make([]time.Duration, 0, n)
		var mu sync.Mutex
		var group sync.WaitGroup
		for w := range 8 {
			group.Go(func() {
				for i := from + w; i < from+n; i += 8 {
					began := time.Now()
					if _, err := s.client.Put(t.Context(), fmt.Sprintf("/registry/pods/d/%d", i%2000), fmt.Sprint(i)+value); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		group.Wait()
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	round(0, 3000)
	alone := round(3000, 3000)
	before := s.rss(t)
	conn, err := grpc.NewClient(s.endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 30 {
		create(t.Context(), t, pb.NewWatchClient(conn), &pb.WatchCreateRequest{Key: []byte("/"), RangeEnd: []byte("0"), PrevKv: true})
	}
	for range 20 { // 2 MB each, of which nobody reads a byte
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/etcdserverpb.KV/Range")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(stream.SendMsg(&pb.RangeRequest{Key: []byte("/"), RangeEnd: []byte("0")}), stream.CloseSend()); err != nil {
			t.Fatal(err)
		}
	}
	beside := round(6000, 6000)
	stalled := s.rss(t)
	round(9000, 6000)
	after := s.rss(t)
	t.Logf("p99 of a put %v alone, %v beside them; resident %d MB before, %d MB with them, %d MB after more writes", alone, beside, before>>20, stalled>>20, after>>20)
	if beside > 4*alone+50*time.Millisecond {
		t.Errorf("a put takes %v beside clients that do not read, %v without them", beside, alone)
	}
	if stalled-before > 256<<20 || after-stalled > 64<<20 || after-before > 160<<20 {
		t.Errorf("the process has grown by %d MB, and with what it could not send by %d MB more", (stalled-before)>>20, (after-stalled)>>20)
	}
}

// TestF5CancelWhileDispatching cancels watches at random while events are handed out: the others see
// each event once and in order, and a cancelled one is silent after it was told so.
//
//	FAULT_CANCELS=10000   how many
func TestF5CancelWhileDispatching(t *testing.T) {
	t.Parallel()
	r := start(t, &vfs.Mem{}, journal.Options{PublishInterval: -1}, mvcc.Options{Branch: "refs/heads/x"})
	cancels := 2000
	if n, err := strconv.Atoi(os.Getenv("FAULT_CANCELS")); err == nil {
		cancels = n
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, _ = r.b.Store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: fmt.Sprintf("/%d/%d", w, i%10), Value: []byte(fmt.Sprint(i))}}}})
			}
		})
	}
	var done atomic.Int64
	var streams sync.WaitGroup
	for n := range 4 {
		streams.Go(func() {
			s := &canceller{t: t, random: rand.New(rand.NewPCG(uint64(n), 5)), last: map[int64]int64{}, gone: map[int64]bool{}}
			s.run(ctx, r.watch, func() bool { return done.Add(1) <= int64(cancels) })
		})
	}
	streams.Wait()
	stop()
	writers.Wait()
	t.Logf("%d watches cancelled, up to revision %d", min(done.Load(), int64(cancels)), r.b.Store.Revision())
}

// canceller has watches on one stream.
type canceller struct {
	t      *testing.T
	random *rand.Rand
	last   map[int64]int64 // watch -> the last revision that it saw
	gone   map[int64]bool
	stays  int64 // the revision that the watch that stays has seen
	next   int64
}

func (c *canceller) run(ctx context.Context, w pb.WatchClient, more func() bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream := create(ctx, c.t, w, &pb.WatchCreateRequest{Key: []byte("/"), RangeEnd: []byte("0"), WatchId: 1, StartRevision: 2})
	c.next = 2
	pending := 0
	for {
		for pending < 8 {
			if !more() {
				return
			}
			if err := c.add(stream); err != nil {
				c.t.Errorf("send: %v", err)
				return
			}
			pending++
		}
		m, err := stream.Recv()
		if err != nil {
			c.t.Errorf("receive: %v", err)
			return
		}
		if m.Canceled {
			pending--
		}
		if !c.take(m) {
			return
		}
	}
}

// add creates a watch, and cancels it at once or, by the order of the stream, a little later.
func (c *canceller) add(stream pb.Watch_WatchClient) error {
	id := c.next
	c.next++
	err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte("/0/"), RangeEnd: []byte("/1/5"), WatchId: id, StartRevision: max(c.stays-c.random.Int64N(500), 0), // 0 is from now on
	}}})
	if c.random.IntN(2) == 0 {
		time.Sleep(time.Duration(c.random.IntN(300)) * time.Microsecond)
	}
	return errors.Join(err, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}))
}

// take checks a response.
func (c *canceller) take(m *pb.WatchResponse) bool {
	switch {
	case c.gone[m.WatchId] && !m.Created:
		c.t.Errorf("watch %d speaks after its end: %v", m.WatchId, m)
		return false
	case m.Canceled:
		c.gone[m.WatchId] = true
		delete(c.last, m.WatchId)
	}
	for _, e := range m.Events {
		rev := e.Kv.ModRevision
		if m.WatchId == 1 {
			if rev != c.stays+1 && c.stays > 0 || c.stays == 0 && rev != 2 || e.Type != mvccpb.PUT {
				c.t.Errorf("the watch that stays sees revision %d after %d", rev, c.stays)
				return false
			}
			c.stays = rev
			continue
		}
		if rev <= c.last[m.WatchId] {
			c.t.Errorf("watch %d sees revision %d after %d", m.WatchId, rev, c.last[m.WatchId])
			return false
		}
		c.last[m.WatchId] = rev
	}
	return true
}
