// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// server is a gitcd of its own process.
type server struct {
	cmd    *exec.Cmd
	log    bytes.Buffer
	client *clientv3.Client
	ended  chan error
}

// serve starts gitcd and waits until it answers.
func serve(t *testing.T, repository, socket string) *server {
	t.Helper()
	s := &server{ended: make(chan error, 1)}
	s.cmd = exec.CommandContext(t.Context(), testbin.Path(t, "gitcd"), "serve", "--dir", repository, "--listen", "unix://"+socket)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	var err error
	s.client, err = clientv3.New(clientv3.Config{
		Endpoints: []string{"unix://" + socket}, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := s.client.Get(ctx, "ready")
		cancel()
		if err == nil {
			return s
		}
		select {
		case end := <-s.ended:
			t.Fatalf("gitcd ended: %v\n%s", end, s.log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("gitcd does not answer: %v\n%s", err, s.log.String())
		}
	}
}

// kill ends the process without warning.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-s.ended //nolint:errcheck // it was killed
	_ = s.client.Close()
}

// answers are what clients of a process were told. Each writer counts up, in two keys with one transaction.
type answers struct {
	mu     sync.Mutex
	count  map[int]int   // writer -> the last number acknowledged
	rev    map[int]int64 // writer -> its revision
	seen   int64         // the last revision that anybody saw
	events map[string]string
	leases map[clientv3.LeaseID]string // lease -> its key
	total  int
}

func counter(writer int, half string) string {
	return fmt.Sprintf("/registry/pods/w%d/%s", writer, half)
}

// write counts up until the process is gone.
func (a *answers) write(ctx context.Context, c *clientv3.Client, writer int) {
	for ctx.Err() == nil {
		a.mu.Lock()
		n := a.count[writer] + 1
		a.mu.Unlock()
		value := fmt.Sprintf(`{"n":%d,"text":"%0200d"}`, n, n)
		r, err := c.Txn(ctx).Then(clientv3.OpPut(counter(writer, "a"), value), clientv3.OpPut(counter(writer, "b"), value)).Commit()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.count[writer], a.rev[writer] = n, r.Header.Revision
		a.seen = max(a.seen, r.Header.Revision)
		a.total++
		a.mu.Unlock()
		if n%50 == 0 {
			a.lease(ctx, c, writer, n)
		}
		if n%70 == 0 && writer == 0 {
			_, _ = c.Compact(ctx, r.Header.Revision-20)
		}
	}
}

// lease attaches a key to a lease, and deletes the key of an earlier one.
func (a *answers) lease(ctx context.Context, c *clientv3.Client, writer, n int) {
	g, err := c.Grant(ctx, 3600)
	if err != nil {
		return
	}
	key := fmt.Sprintf("/registry/leased/%d-%d", writer, n)
	if _, err := c.Put(ctx, key, "x", clientv3.WithLease(g.ID)); err != nil {
		return
	}
	a.mu.Lock()
	a.leases[g.ID] = key
	a.mu.Unlock()
}

// watch keeps what a watcher saw.
func (a *answers) watch(ctx context.Context, c *clientv3.Client) {
	for r := range c.Watch(ctx, "/registry/", clientv3.WithPrefix()) {
		a.mu.Lock()
		for _, e := range r.Events {
			a.events[string(e.Kv.Key)+"@"+strconv.FormatInt(e.Kv.ModRevision, 10)] = string(e.Kv.Value)
			a.seen = max(a.seen, e.Kv.ModRevision)
		}
		a.mu.Unlock()
	}
}

// compare looks at what a process has that was started after a kill.
func (a *answers) compare(t *testing.T, c *clientv3.Client, writers int) {
	t.Helper()
	for w := range writers {
		var have [2]int
		var rev int64
		for i, half := range []string{"a", "b"} {
			r, err := c.Get(t.Context(), counter(w, half))
			if err != nil {
				t.Fatal(err)
			}
			if r.Header.Revision < a.seen {
				t.Fatalf("C3: revision %d, %d was seen", r.Header.Revision, a.seen)
			}
			if len(r.Kvs) > 0 {
				if _, err := fmt.Sscanf(string(r.Kvs[0].Value), `{"n":%d`, &have[i]); err != nil {
					t.Fatal(err)
				}
				rev = r.Kvs[0].ModRevision
			}
		}
		switch want := a.count[w]; {
		case have[0] != have[1]:
			t.Fatalf("C2: writer %d has %v in its two keys", w, have)
		case have[0] == want && rev != a.rev[w]:
			t.Fatalf("C1: writer %d is at revision %d, was acknowledged at %d", w, rev, a.rev[w])
		case have[0] == want+1 && rev > a.rev[w]: // written, not told
			a.count[w], a.rev[w] = have[0], rev
		case have[0] != want:
			t.Fatalf("C1: writer %d has %d, acknowledged is %d", w, have[0], want)
		}
	}
	for id, key := range a.leases {
		r, err := c.TimeToLive(t.Context(), id, clientv3.WithAttachedKeys())
		if err != nil || r.TTL <= 0 || len(r.Keys) != 1 || string(r.Keys[0]) != key {
			t.Fatalf("C1: lease %d of %s is %v, %v", id, key, r, err)
		}
	}
	checked := 0
	for at, value := range a.events {
		if checked++; checked > 30 { // a sample; the map's order is random
			break
		}
		var key string
		var rev int64
		for i := len(at) - 1; key == ""; i-- {
			if at[i] == '@' {
				key = at[:i]
				rev, _ = strconv.ParseInt(at[i+1:], 10, 64)
			}
		}
		r, err := c.Get(t.Context(), key, clientv3.WithRev(rev))
		if errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		if err != nil || len(r.Kvs) != 1 || string(r.Kvs[0].Value) != value || r.Kvs[0].ModRevision != rev {
			t.Fatalf("C3: %s was seen as %.40q, is %v, %v", at, value, r, err)
		}
	}
	a.events = map[string]string{}
}

// TestKill9 kills gitcd again and again, under load.
//
//	SOAK_SECONDS=3600   for how long
func TestKill9(t *testing.T) {
	const writers = 8
	seconds := number(t, "SOAK_SECONDS", 12)
	if testing.Short() {
		seconds = min(seconds, 4)
	}
	repository, socket := filepath.Join(t.TempDir(), "r.git"), filepath.Join(t.TempDir(), "s")
	a := &answers{count: map[int]int{}, rev: map[int]int64{}, events: map[string]string{}, leases: map[clientv3.LeaseID]string{}}
	kills := 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end) && !t.Failed(); kills++ {
		s := serve(t, repository, socket)
		a.compare(t, s.client, writers)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { a.watch(ctx, s.client) })
		for w := range writers {
			group.Go(func() { a.write(ctx, s.client, w) })
		}
		time.Sleep(time.Duration(20+rand.IntN(900)) * time.Millisecond)
		s.kill(t)
		cancel()
		group.Wait()
		if kills%10 == 9 {
			run(t, testbin.Path(t, "gitcd"), "verify", "--dir", repository)
			run(t, "git", "-C", repository, "fsck", "--strict", "--no-dangling", "--no-progress")
		}
	}
	s := serve(t, repository, socket)
	a.compare(t, s.client, writers)
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("gitcd ended: %v\n%s", err, s.log.String())
	}
	_ = s.client.Close()
	run(t, testbin.Path(t, "gitcd"), "verify", "--dir", repository)
	run(t, "git", "-C", repository, "fsck", "--strict", "--no-dangling", "--no-progress")
	t.Logf("%d kills, %d transactions acknowledged, %d leases", kills, a.total, len(a.leases))
}

// run has a command succeed.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
	}
}
