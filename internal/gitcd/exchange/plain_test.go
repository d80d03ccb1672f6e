// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestPlainGitServer exchanges with stock git http-backend: no hub, no notices.
// A person with stock Git merges the heaven's branch into main and writes there.
func TestPlainGitServer(t *testing.T) {
	p := newPlainServer(t)
	dir, server := p.dir, p.url
	v := newHeaven(t, &theHub{t: t}, "heavens/apiserver", "front")
	v.upstream = exchange.NewGitRemote(server, http.DefaultClient)
	v.tune = func(o *exchange.Options) { o.Poll, o.Await = 20*time.Millisecond, 20*time.Millisecond }
	v.start(true)
	v.put("/registry/pods/default/a", `{"n":1}`)
	work := filepath.Join(t.TempDir(), "work")
	eventually(t, "the branch is at the server", func() bool {
		return strings.Contains(git(t, "", "ls-remote", server), "refs/heads/heavens/apiserver") && !v.exchange.Status().Unpushed
	})
	git(t, "", "clone", "-q", "-b", "heavens/apiserver", server, work)
	if err := os.WriteFile(filepath.Join(work, "registry/pods/default/b"), []byte("{\n \"n\": 2\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, work, "add", "-A")
	git(t, work, "commit", "-q", "-m", "by hand")
	git(t, work, "push", "-q", "origin", "HEAD:refs/heads/main")
	eventually(t, "what a person wrote is in the heaven", func() bool { return v.get("/registry/pods/default/b") == `{"n":2}` })
	v.put("/registry/pods/default/c", `{"n":3}`)
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
	git(t, work, "fetch", "-q", "origin")
	if out := git(t, work, "ls-tree", "-r", "--name-only", "origin/heavens/apiserver"); strings.Count(out, "\n") != 2 {
		t.Errorf("the last push did not go out: %s", out)
	}
	git(t, dir, "fsck", "--strict", "--no-progress")
}

// looked counts how often the time is asked for.
type looked struct {
	clock.RealClock
	n atomic.Int64
}

func (l *looked) Now() time.Time {
	l.n.Add(1)
	return l.RealClock.Now()
}

// TestNobodyMerges has an upstream take a push, and never merge it: waiting for that ends, and costs nothing.
func TestNobodyMerges(t *testing.T) {
	v := newHeaven(t, &theHub{t: t}, "heavens/apiserver", "front")
	v.upstream = exchange.NewGitRemote(newPlainServer(t).url, http.DefaultClient)
	l := &looked{}
	v.tune = func(o *exchange.Options) { o.Clock, o.Poll, o.Await = l, time.Hour, 20*time.Millisecond }
	v.start(true)
	v.put("/registry/pods/default/a", `{"n":1}`)
	eventually(t, "it is pushed", func() bool { s := v.exchange.Status(); return s.Pushes > 0 && !s.Unpushed })
	time.Sleep(100 * time.Millisecond)
	before := l.n.Load()
	time.Sleep(200 * time.Millisecond)
	if n := l.n.Load() - before; n > 20 {
		t.Errorf("an exchange with nothing to do looked at the clock %d times in 200 ms", n)
	}
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
}

// tarPit takes requests and does not answer.
type tarPit struct {
	mu    sync.Mutex
	stuck int
	open  bool
	http.RoundTripper
}

func (p *tarPit) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	open := p.open
	if !open {
		p.stuck++
	}
	p.mu.Unlock()
	if open {
		return p.RoundTripper.RoundTrip(r)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func (p *tarPit) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stuck
}

// TestHangingUpstream holds law X1: an upstream that takes requests and never
// answers, for a minute by a clock of the test's own, delays no write. When it
// answers again, what was written goes out.
func TestHangingUpstream(t *testing.T) {
	h := startHub(t)
	v := newHeaven(t, h, "heavens/apiserver", "front")
	v.start(true)
	v.put("/registry/a", "1")
	eventually(t, "there is a main", func() bool { return h.status().Main != "" })
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
	pit := &tarPit{RoundTripper: v.link}
	clk := clocktesting.NewFakeClock(time.Now())
	remote := exchange.NewHubRemote(h.url, &http.Client{Transport: pit})
	remote.Clock = clk
	v.upstream = remote
	v.tune = func(o *exchange.Options) { o.Clock = clk }
	var err error
	if v.journal, err = journal.Open(t.Context(), v.disk, "repo", journal.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := v.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	for second := range 60 {
		clk.Step(time.Second)
		start := time.Now()
		v.put("/registry/b", strings.Repeat("x", second+1))
		slowest = max(slowest, time.Since(start))
		time.Sleep(2 * time.Millisecond)
	}
	if pit.waiting() < 2 {
		t.Errorf("the upstream was asked %d times within a minute: what hangs is not given up", pit.waiting())
	}
	if slowest > 2*time.Second {
		t.Errorf("a write took %s", slowest)
	}
	s := v.exchange.Status()
	if s.Connected || s.LastError == "" {
		t.Errorf("status: %+v", s)
	}
	pit.mu.Lock()
	pit.open = true
	pit.mu.Unlock()
	asked := 0
	eventually(t, "what was written is at the hub", func() bool {
		if asked++; asked%25 == 0 { // slowly: what is real takes real time
			clk.Step(time.Second)
		}
		return !v.exchange.Status().Unpushed && v.exchange.Status().Connected
	})
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
	t.Logf("slowest write %s, %d requests hung", slowest, pit.waiting())
}

// TestHold lets nothing out before genesis is ready, and everything after.
func TestHold(t *testing.T) {
	h := startHub(t)
	v := newHeaven(t, h, "heavens/apiserver", "front")
	ready := make(chan struct{})
	v.tune = func(o *exchange.Options) {
		o.Hold = func(ctx context.Context) error {
			select {
			case <-ready:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	v.start(true)
	for i := range 10 {
		v.put("/registry/a", strings.Repeat("x", i))
	}
	eventually(t, "the link is up", func() bool { return v.exchange.Status().Connected })
	time.Sleep(50 * time.Millisecond)
	if s := h.status(); s.Main != "" || len(s.Branches) != 0 {
		t.Fatalf("something went out before genesis was ready: %+v", s)
	}
	if err := v.halt(); err != nil { // stopped while on hold: nothing goes out either
		t.Fatal(err)
	}
	if s := h.status(); len(s.Branches) != 0 {
		t.Fatalf("something went out before genesis was ready: %+v", s)
	}
	v.start(true)
	if v.taken.Epoch != 1 {
		t.Fatalf("taken again: %+v", v.taken)
	}
	close(ready)
	settled(t, h, v)
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
}

// TestLazy lets changes of leases alone wait for company.
func TestLazy(t *testing.T) {
	h := startHub(t)
	v := newHeaven(t, h, "heavens/apiserver", "front")
	v.tune = func(o *exchange.Options) { o.LazyWait = 300 * time.Millisecond }
	v.start(true)
	v.put("/registry/a", "1")
	settled(t, h, v)
	pushes := v.exchange.Status().Pushes
	start := time.Now()
	v.put("/registry/leases/kube-node-lease/n", `{"n":1}`)
	if _, err := v.store.Flush(t.Context()); err != nil { // or else the store itself waits
		t.Fatal(err)
	}
	eventually(t, "the lease goes out in the end", func() bool { return v.exchange.Status().Pushes > pushes })
	if waited := time.Since(start); waited < 300*time.Millisecond {
		t.Errorf("the lease went out after %s", waited)
	}
	settled(t, h, v)
	v.put("/registry/leases/kube-node-lease/n", `{"n":2}`)
	if _, err := v.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	v.put("/registry/a", "2")
	settled(t, h, v)
	if waited := time.Since(start); waited > 250*time.Millisecond {
		t.Logf("with company it took %s: a slow machine?", waited)
	}
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
}
