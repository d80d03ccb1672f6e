// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mirror"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const (
	user   = "robot"
	secret = "s3cret"
)

// forge is stock git http-backend behind a password and a link with faults.
type forge struct {
	t    *testing.T
	dir  string // of the repository
	url  string
	link *link
}

func newForge(t *testing.T) *forge {
	t.Helper()
	root := t.TempDir()
	f := &forge{t: t, dir: filepath.Join(root, "cluster.git")}
	f.create()
	exe, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: exe, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	f.link = &link{next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != user || password != secret {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if v := r.Header.Get("Git-Protocol"); v != "" {
			h := *backend
			h.Env = append(slices.Clip(h.Env), "GIT_PROTOCOL="+v)
			h.ServeHTTP(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	})}
	server := httptest.NewServer(f.link)
	t.Cleanup(server.Close)
	f.url = server.URL + "/cluster.git"
	return f
}

// create makes an empty repository, as a person would at a forge.
func (f *forge) create() {
	f.t.Helper()
	git(f.t, "", "init", "-q", "--bare", "--initial-branch=main", f.dir)
	git(f.t, f.dir, "config", "http.receivepack", "true")
}

// wipe has the forge lose everything.
func (f *forge) wipe() {
	f.t.Helper()
	if err := os.RemoveAll(f.dir); err != nil {
		f.t.Fatal(err)
	}
	f.create()
}

func (f *forge) head(branch string) string {
	f.t.Helper()
	return git(f.t, f.dir, "for-each-ref", "--format=%(objectname)", "refs/heads/"+branch)
}

// client speaks to the forge with the password that is given.
func (f *forge) client(password string) *transport.Client {
	return &transport.Client{URL: f.url, HTTP: &http.Client{Transport: asUser(password)}}
}

type asUser string

func (p asUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(user, string(p))
	return http.DefaultTransport.RoundTrip(r)
}

// link is a way to the forge that has faults.
type link struct {
	next http.Handler

	mu     sync.Mutex
	fault  func(w http.ResponseWriter, r *http.Request) bool // answers itself, or not
	asked  []string                                          // what came through, the last part of its path
	pushes []time.Time
}

func (l *link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	fault := l.fault
	l.asked = append(l.asked, filepath.Base(r.URL.Path))
	if strings.HasSuffix(r.URL.Path, "receive-pack") {
		l.pushes = append(l.pushes, time.Now())
	}
	l.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	l.next.ServeHTTP(w, r)
}

func (l *link) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

func (l *link) count() (requests, pushes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked), len(l.pushes)
}

// answer is a fault that answers every request with a status.
func answer(code int, headers ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		http.Error(w, "the forge has no time", code)
		return true
	}
}

// cut is a fault that ends the connection before anything is answered.
func cut(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

// lostAnswer does what is asked, and then cuts the connection in the middle of the answer.
func (f *forge) lostAnswer(part int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		rec := httptest.NewRecorder()
		f.link.next.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		body := rec.Body.Bytes()
		if _, err := w.Write(body[:len(body)*part/100]); err == nil {
			http.NewResponseController(w).Flush() //nolint:errcheck // the connection is cut anyway
		}
		panic(http.ErrAbortHandler)
	}
}

// rig is a hub with a mirror.
type rig struct {
	t       *testing.T
	disk    *vfs.Mem
	journal *journal.Journal
	hub     *hub.Hub
	url     string
	mirror  *mirror.Mirror
	stop    func()
}

// start opens a hub over a disk, restores it if it is empty, and mirrors it to a forge.
func start(t *testing.T, disk *vfs.Mem, f *transport.Client, o mirror.Options) *rig {
	t.Helper()
	return open(t, disk, f, o, true)
}

func open(t *testing.T, disk *vfs.Mem, f *transport.Client, o mirror.Options, restore bool) *rig {
	t.Helper()
	j, err := journal.Open(t.Context(), disk, "hub", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, disk: disk, journal: j}
	o.Offer = func(ref string) { r.hub.Offer(ref) }
	for _, x := range []struct {
		d  *time.Duration
		or time.Duration
	}{{&o.Interval, 20 * time.Millisecond}, {&o.Poll, 50 * time.Millisecond}, {&o.MinPause, 10 * time.Millisecond}, {&o.MaxPause, 200 * time.Millisecond}} {
		if *x.d == 0 {
			*x.d = x.or
		}
	}
	o.URL = f.URL
	r.mirror = mirror.New(j, f, o)
	if restore {
		if _, err := r.mirror.Restore(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.hub = hub.New(j, hub.Options{Retry: 100 * time.Millisecond, Genesis: "heavens/a", Identify: func(r *http.Request) (string, error) { return r.Header.Get("X-Peer"), nil }})
	server := httptest.NewServer(r.hub.Handler())
	r.url = server.URL + "/repo.git"
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{r.hub.Run, r.mirror.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		server.Close()
		if err := j.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// inStep waits until the forge has all that the hub has, and the branches are merged.
func (r *rig) inStep(f *forge) {
	r.t.Helper()
	eventually(r.t, "the forge has everything", func() bool {
		for _, b := range r.hub.Status().Branches {
			if b.Merged == nil || !*b.Merged {
				return false
			}
		}
		refs := r.journal.Refs("refs/heads/")
		if len(refs) == 0 || r.mirror.Status().OldestUnpushed != nil {
			return false
		}
		for ref, id := range refs {
			if f.head(strings.TrimPrefix(ref, "refs/heads/")) != id.String() {
				return false
			}
		}
		return true
	})
}

// heaven is somebody with stock Git who pushes a branch of the hub's.
type heaven struct {
	r    *rig
	name string
	dir  string
}

func (r *rig) heaven(name string) *heaven {
	r.t.Helper()
	h := &heaven{r: r, name: name, dir: filepath.Join(r.t.TempDir(), "work")}
	git(r.t, "", "init", "-q", "--initial-branch=work", h.dir)
	git(r.t, h.dir, "config", "http.extraHeader", "X-Peer: "+name)
	git(r.t, h.dir, "config", "remote.hub.url", r.url)
	git(r.t, h.dir, "config", "remote.hub.fetch", "+refs/heads/*:refs/remotes/hub/*")
	return h
}

// write commits a key and pushes the branch.
func (h *heaven) write(key, value string) {
	h.r.t.Helper()
	commitFile(h.r.t, h.dir, key, value)
	git(h.r.t, h.dir, "push", "-q", "hub", "HEAD:refs/heads/"+h.name)
}

// follow moves to the hub's main.
func (h *heaven) follow() {
	h.r.t.Helper()
	git(h.r.t, h.dir, "fetch", "-q", "hub")
	git(h.r.t, h.dir, "merge", "-q", "--no-edit", "-s", "ort", "hub/main")
}

// main returns the keys of the hub's main.
func (r *rig) main() map[string]string {
	r.t.Helper()
	h := r.heaven("hub-admin")
	git(r.t, h.dir, "fetch", "-q", "hub")
	return keys(r.t, h.dir, "hub/main")
}

func keys(t *testing.T, dir, rev string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name := range strings.FieldsSeq(git(t, dir, "ls-tree", "-r", "--name-only", rev)) {
		out[name] = git(t, dir, "show", rev+":"+name)
	}
	return out
}

func commitFile(t *testing.T, dir, name, value string) {
	t.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "write "+name)
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// eventually waits for a condition, for a generous time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// hang is a fault that never answers.
func hang(ctx context.Context) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		}
		return true
	}
}

// hook makes the forge ask a script for each branch.
func hook(t *testing.T, f *forge, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(f.dir, "hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "hooks", "update"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}
