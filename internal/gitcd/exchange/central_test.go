// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
)

// plainServer is stock git http-backend, which counts what it is asked for.
type plainServer struct {
	dir, url string

	mu    sync.Mutex
	asked map[string]int // upload-pack, receive-pack -> how often
	fault func(w http.ResponseWriter) bool
}

func newPlainServer(t *testing.T) *plainServer {
	t.Helper()
	s := &plainServer{dir: filepath.Join(t.TempDir(), "repo.git"), asked: map[string]int{}}
	git(t, "", "init", "-q", "--bare", "-b", "main", s.dir)
	git(t, s.dir, "config", "http.receivepack", "true")
	backend := &cgi.Handler{
		Path: filepath.Join(git(t, "", "--exec-path"), "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(s.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[strings.TrimPrefix(filepath.Base(r.URL.Path), "git-")]++
		fault := s.fault
		s.mu.Unlock()
		if fault == nil || !fault(w) {
			backend.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/repo.git"
	return s
}

func (s *plainServer) count(service string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[service]
}

func (s *plainServer) set(fault func(w http.ResponseWriter) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// central is a heaven whose upstream is the server, where no hub merges.
func (s *plainServer) central(t *testing.T, name string, tune func(*exchange.Options)) *heaven {
	t.Helper()
	v := newHeaven(t, &theHub{t: t}, name, name)
	v.upstream = exchange.NewGitRemote(s.url, http.DefaultClient)
	v.tune = func(o *exchange.Options) {
		o.MovesMain, o.Poll, o.MaxPoll = true, 20*time.Millisecond, 100*time.Millisecond
		if tune != nil {
			tune(o)
		}
	}
	return v
}

// TestCentral holds law X7: heavens that share a repository on a stock Git
// server, and nothing else, end up with the same tree, which has everything.
func TestCentral(t *testing.T) {
	s := newPlainServer(t)
	front := s.central(t, "heavens/apiserver", nil).start(true)
	front.put("/registry/begin", "1")
	eventually(t, "there is a main", func() bool { return strings.Contains(git(t, "", "ls-remote", s.url), "refs/heads/main") })
	heavens := []*heaven{front}
	for i := range 3 {
		heavens = append(heavens, s.central(t, fmt.Sprintf("nodes/n%d", i), nil).start(false))
	}
	var writing sync.WaitGroup
	for i, v := range heavens {
		writing.Go(func() {
			for n := range 20 {
				if err := v.tryPut(fmt.Sprintf("/registry/of/%d/%d", i, n), fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
				if err := v.tryPut("/registry/shared", fmt.Sprintf("%d of %d", n, i)); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	writing.Wait()
	eventually(t, "all have the same tree", func() bool {
		main := git(t, s.dir, "rev-parse", "main^{tree}")
		for _, v := range heavens {
			if v.exchange.Status().Unpushed || v.tree().String() != main {
				return false
			}
		}
		return true
	})
	if n := strings.Count(git(t, s.dir, "ls-tree", "-r", "--name-only", "main"), "\n") + 1; n != 4*20+2 {
		t.Errorf("main has %d keys", n)
	}
	pushes := s.count("receive-pack")
	time.Sleep(500 * time.Millisecond)
	if more := s.count("receive-pack") - pushes; more > 0 {
		t.Errorf("%d pushes after all was still", more)
	}
	for _, v := range heavens {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
	git(t, s.dir, "fsck", "--strict", "--no-progress")
}

// TestCentralLosesMain has main go back, and then all of the repository go away: the heavens hand everything in again.
func TestCentralLosesMain(t *testing.T) {
	s := newPlainServer(t)
	a := s.central(t, "heavens/apiserver", nil).start(true)
	a.put("/registry/x", "1")
	has := func(value string) func() bool {
		return func() bool {
			refs := git(t, "", "ls-remote", s.url)
			return strings.Contains(refs, "refs/heads/main") && git(t, s.dir, "show", "main:registry/x") == value
		}
	}
	eventually(t, "main has the first value", has("1"))
	first := git(t, s.dir, "rev-parse", "main")
	a.put("/registry/x", "2")
	eventually(t, "main has the second value", has("2"))
	git(t, s.dir, "update-ref", "refs/heads/main", first)
	eventually(t, "main has the second value again", has("2"))
	git(t, s.dir, "update-ref", "-d", "refs/heads/main")
	git(t, s.dir, "update-ref", "-d", "refs/heads/heavens/apiserver")
	eventually(t, "there is a main again", has("2"))
	if err := a.halt(); err != nil {
		t.Fatal(err)
	}
}

// TestPolling shows that an upstream where nothing moves is asked more and more seldom, until there is a hint.
func TestPolling(t *testing.T) {
	s := newPlainServer(t)
	v := s.central(t, "heavens/apiserver", func(o *exchange.Options) { o.Poll, o.MaxPoll = 10*time.Millisecond, time.Minute })
	v.start(true)
	v.put("/registry/x", "1")
	eventually(t, "it is pushed", func() bool { return !v.exchange.Status().Unpushed && v.exchange.Status().Pushes > 0 })
	eventually(t, "it is asked seldom", func() bool {
		before := s.count("upload-pack")
		time.Sleep(300 * time.Millisecond)
		return s.count("upload-pack") == before
	})
	before := s.count("upload-pack")
	v.exchange.Hint()
	eventually(t, "a hint is followed", func() bool { return s.count("upload-pack") > before })
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
}

// TestPushEvery holds pushes to a forge's limits.
func TestPushEvery(t *testing.T) {
	s := newPlainServer(t)
	v := s.central(t, "heavens/apiserver", func(o *exchange.Options) { o.PushEvery = 500 * time.Millisecond })
	v.start(true)
	start := time.Now()
	for i := range 100 {
		v.put("/registry/x", fmt.Sprint(i))
		time.Sleep(10 * time.Millisecond)
	}
	eventually(t, "all is pushed", func() bool { return !v.exchange.Status().Unpushed && git(t, s.dir, "show", "main:registry/x") == "99" })
	if n, most := s.count("receive-pack"), int(time.Since(start)/(500*time.Millisecond))+1; n > most {
		t.Errorf("%d pushes in %s", n, time.Since(start))
	}
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
}

// TestAskedToWait leaves a server alone for as long as it asks for.
func TestAskedToWait(t *testing.T) {
	s := newPlainServer(t)
	v := s.central(t, "heavens/apiserver", nil).start(true)
	v.put("/registry/x", "1")
	eventually(t, "it is pushed", func() bool { return v.exchange.Status().Pushes > 0 && !v.exchange.Status().Unpushed })
	s.set(func(w http.ResponseWriter) bool {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return true
	})
	before := s.count("upload-pack")
	eventually(t, "it is refused", func() bool { return s.count("upload-pack") > before })
	asked := s.count("upload-pack")
	time.Sleep(1500 * time.Millisecond)
	if more := s.count("upload-pack") - asked; more > 0 {
		t.Errorf("asked %d times more within 1.5 s", more)
	}
	s.set(nil)
	v.put("/registry/x", "2")
	eventually(t, "it goes on", func() bool { return git(t, s.dir, "show", "main:registry/x") == "2" })
	if err := v.halt(); err != nil {
		t.Fatal(err)
	}
}
