// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

const branch = "refs/heads/heavens/x"

// commits returns the first-parent history of a head, the newest first.
func commits(t *testing.T, log mvcc.Log, head gitobj.ID) (ids []gitobj.ID, all []gitobj.Commit) {
	t.Helper()
	for !head.IsZero() {
		_, data, err := log.Get(head)
		if err != nil {
			t.Fatal(err)
		}
		c, err := gitobj.DecodeCommit(data)
		if err != nil {
			t.Fatal(err)
		}
		ids, all = append(ids, head), append(all, c)
		head = gitobj.Zero
		if len(c.Parents) > 0 {
			head = c.Parents[0]
		}
	}
	return ids, all
}

// subjects returns the first lines of a history, the oldest first.
func subjects(t *testing.T, log mvcc.Log, head gitobj.ID) (out []string) {
	t.Helper()
	_, all := commits(t, log, head)
	for _, c := range slices.Backward(all) {
		subject, _, _ := strings.Cut(c.Message, "\n")
		out = append(out, subject)
	}
	return out
}

// files returns the keys and values of a commit.
func files(t *testing.T, log mvcc.Log, head gitobj.ID) map[string]string {
	t.Helper()
	_, all := commits(t, log, head)
	out := map[string]string{}
	err := treeedit.Walk(t.Context(), log, all[0].Tree, func(key string, blob gitobj.ID) error {
		_, content, err := log.Get(blob)
		if err != nil {
			return err
		}
		value, err := layout.Value(content)
		out[key] = string(value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func flush(t *testing.T, s *mvcc.Store) gitobj.ID {
	t.Helper()
	head, err := s.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// tape is a log that remembers what was appended, so that a crash can be played.
type tape struct {
	mvcc.MemLog
	mu     sync.Mutex
	frames [][]mvcc.Frame
}

func (p *tape) Append(ctx context.Context, frames []mvcc.Frame, durable bool) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(frames) > 0 {
		p.frames = append(p.frames, slices.Clone(frames))
	}
	return p.MemLog.Append(ctx, frames, durable)
}

// crashed returns the log as a crash leaves it that loses the commits from the nth on.
func (p *tape) crashed(t *testing.T, n int) *mvcc.MemLog {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &mvcc.MemLog{}
	for _, frames := range p.frames {
		isCommit := len(frames[0].Refs) > 0
		if isCommit {
			n--
		}
		if isCommit && n < 0 {
			continue
		}
		if _, err := out.Append(t.Context(), frames, true); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestM7CommitsFollow loses commits in a crash: the same ones are made again.
func TestM7CommitsFollow(t *testing.T) {
	for _, clients := range []int{1, 200} {
		t.Run(fmt.Sprint(clients), func(t *testing.T) {
			clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
			p := &tape{}
			o := mvcc.Options{Branch: branch, Epoch: 3, Clock: clk, Holder: "pod-1"}
			s := open(t, p, o)
			var group sync.WaitGroup
			for c := range clients {
				group.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(c)))
					for i := range 1000 / clients {
						key := fmt.Sprintf("/registry/pods/d/%d", random.IntN(50))
						txn := put(key, fmt.Sprintf(`{"n":%d}`, i))
						switch random.IntN(5) {
						case 0:
							txn = remove(key)
						case 1:
							txn = put("/registry/leases/d/"+key[17:], "x")
						}
						if _, err := s.Txn(context.Background(), txn); err != nil {
							t.Error(err)
						}
						if i%10 == 0 {
							clk.Step(700 * time.Millisecond)
						}
					}
				})
			}
			group.Wait()
			want := flush(t, s)
			ids, all := commits(t, p, want)
			t.Logf("%d commits, %d frames", len(ids), len(p.frames))
			for i := range all[:len(all)-1] {
				if all[i].Committer.When.Before(all[i+1].Committer.When) {
					t.Fatalf("time goes back in %s", ids[i])
				}
			}
			for n := range 25 {
				kept := n * len(p.frames) / 50
				log := p.crashed(t, kept)
				again := open(t, log, o)
				if have := flush(t, again); have != want {
					haveIDs, haveAll := commits(t, log, have)
					t.Fatalf("with %d commits kept the head is %s, want %s\n%d commits, want %d\n%+v\n%+v", kept, have, want, len(haveIDs), len(ids), haveAll[0], all[0])
				}
				if again.Revision() != s.Revision() {
					t.Fatalf("revision %d, want %d", again.Revision(), s.Revision())
				}
			}
		})
	}
}

// TestCommits looks at what a person sees in the log.
func TestCommits(t *testing.T) {
	log := &mvcc.MemLog{}
	now := time.Unix(1_700_000_000, 123)
	s := open(t, log, mvcc.Options{Clock: testclock.NewFakeClock(now), Branch: branch, Epoch: 2, Author: mvcc.Identity{Name: "scheduler", Email: "s@example.org"}, Holder: "pod-7"})
	do(t, s, put("/registry/pods/default/x", `{"kind":"Pod"}`))
	flush(t, s)
	do(t, s, put("/registry/pods/default/x", `{"kind":"Pod","a":1}`), put("/registry/example.org/foos/a/b", "1"))
	flush(t, s)
	do(t, s, mvcc.Txn{Then: []mvcc.Op{
		{Delete: &mvcc.Delete{Key: "/registry/pods/default/x"}},
		{Put: &mvcc.Put{Key: "/registry/services/specs/d/y", Value: []byte("1")}},
		{Put: &mvcc.Put{Key: "z\n", Value: []byte("1")}},
		{Put: &mvcc.Put{Key: "zz", Value: []byte("1")}},
	}})
	head := flush(t, s)
	want := []string{
		"take the branch for epoch 2", "create pods default/x", "update pods default/x", "create foos.example.org a/b",
		"4 changes: delete pods default/x, create services/specs d/y, create z?, and 1 more",
	}
	if have := subjects(t, log, head); !slices.Equal(have, want) {
		t.Errorf("subjects\n%q, want\n%q", have, want)
	}
	_, all := commits(t, log, head)
	c := all[0]
	epoch, _ := c.Trailer("Epoch")
	holder, _ := c.Trailer("Holder")
	if c.Author.Name != "scheduler" || c.Committer.Name != "pod-7" || epoch != "2" || holder != "pod-7" || c.Author.When.Unix() != now.Unix() {
		t.Errorf("commit %+v", c)
	}
	if id, ok := log.Ref(branch); !ok || id != head || s.Head() != head {
		t.Errorf("ref at %s, head %s, want %s", id, s.Head(), head)
	}
}

// TestGrains has keys of all grains: local ones enter no tree, batched ones wait.
func TestGrains(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{Branch: branch, Clock: clk})
	do(t, s, put("/registry/health", "1"), put("/registry/leases/kube-node-lease/n", "1"), put("compact_rev_key", "1"))
	settle(t, s)
	if head := s.Head(); !head.IsZero() {
		t.Fatalf("committed %q at once", subjects(t, log, head))
	}
	do(t, s, put("/registry/pods/d/x", "1"))
	settle(t, s)
	if have := files(t, log, s.Head()); len(have) != 2 {
		t.Errorf("with a pod, %v is committed", have)
	}
	do(t, s, put("/registry/leases/kube-node-lease/n", "2"))
	settle(t, s)
	if have := files(t, log, s.Head())["/registry/leases/kube-node-lease/n"]; have != "1" {
		t.Errorf("lease is committed at once: %q", have)
	}
	moved := s.HeadChanged()
	for !clk.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clk.Step(11 * time.Second)
	select {
	case <-moved:
	case <-time.After(10 * time.Second):
		t.Fatal("lease is not committed after 11 s")
	}
	if have := files(t, log, s.Head())["/registry/leases/kube-node-lease/n"]; have != "2" {
		t.Errorf("lease is %q after 11 s", have)
	}
	before := s.Head()
	if flush(t, s) != before {
		t.Error("flush of nothing made a commit")
	}
}

// settle waits until the committer has nothing to do.
func settle(t *testing.T, s *mvcc.Store) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for s.Status().Uncommitted > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the committer does not come to rest")
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(5 * time.Millisecond)
}

// TestM6Restart has leases, history and a compaction survive both kinds of end.
func TestM6Restart(t *testing.T) {
	for _, how := range []string{"crash", "close"} {
		t.Run(how, func(t *testing.T) {
			p := &tape{}
			clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
			o := mvcc.Options{Branch: branch, Epoch: 1, Clock: clk}
			s := open(t, p, o)
			if _, err := s.Grant(t.Context(), 7, 100); err != nil {
				t.Fatal(err)
			}
			do(t, s, put("/a", "2"), put("/a", "3"), put("/b", "4"), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "/l", Value: []byte("5"), Lease: 7}}}}, remove("/b"))
			if _, err := s.Compact(t.Context(), 3, true); err != nil {
				t.Fatal(err)
			}
			clk.Step(60 * time.Second)
			var log mvcc.Log = &p.MemLog
			if how == "close" {
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				log = p.crashed(t, 0)
			}
			s = open(t, log, o)
			if s.Revision() != 6 || s.CompactRevision() != 3 {
				t.Errorf("revision %d, compacted %d", s.Revision(), s.CompactRevision())
			}
			if have := get(t, s, "/a", 3) + get(t, s, "/b", 4) + get(t, s, "/b", 6) + get(t, s, "/l", 0); have != "345" {
				t.Errorf("read %q", have)
			}
			l, err := s.Lease(7, true)
			if err != nil || l.Remaining != 100 || !slices.Equal(l.Keys, []string{"/l"}) {
				t.Errorf("lease %+v, %v", l, err)
			}
			w := watch(t, s, mvcc.WatchRequest{Key: "/", End: "0", Start: 4, PrevKV: true})
			r := next(t, w)
			if have := brief(r); have != "+/b@4 +/l@5 -/b@6 " || string(r.Events[2].Prev.Value) != "4" {
				t.Errorf("history after restart: %s", have)
			}
			if rev := do(t, s, put("/a", "7")); rev != 7 {
				t.Errorf("revision %d after restart", rev)
			}
			kv, err := s.Range(t.Context(), mvcc.RangeRequest{Key: "/a"})
			if err != nil || kv.KVs[0].Version != 3 || kv.KVs[0].CreateRevision != 2 {
				t.Errorf("state after restart: %+v, %v", kv, err)
			}
		})
	}
}
