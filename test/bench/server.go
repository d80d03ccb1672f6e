// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// The servers that are compared, in the order of the table's columns.
const (
	etcd  = "etcd"
	gitcd = "gitcd"
	kine  = "kine"
)

// peer is a kind of server.
type peer struct {
	name string
	// start starts a server on a directory, which may hold its data already.
	start func(ctx context.Context, dir string) (*server, error)
}

// server is a running server.
type server struct {
	name     string
	dir      string
	endpoint string // host:port
	status   string // host:port of gitcd's status, else empty
	cmd      *exec.Cmd
	pid      int
	disk     disk
	clients  []*clientv3.Client
	written  int64 // keys that writes of this server have created, and that must be there
}

// realPeers are the three, as programs of a directory.
func realPeers(bin string) []peer {
	return []peer{
		{name: etcd, start: func(ctx context.Context, dir string) (*server, error) {
			client, peer := freeAddr(), freeAddr()
			return launch(ctx, &server{name: etcd, dir: dir, endpoint: client}, nil, filepath.Join(bin, "etcd"), "--name=default", "--data-dir="+filepath.Join(dir, "data"),
				"--listen-client-urls=http://"+client, "--advertise-client-urls=http://"+client,
				"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer, "--initial-cluster=default=http://"+peer,
				"--quota-backend-bytes=8589934592", "--log-level=warn")
		}},
		{name: gitcd, start: func(ctx context.Context, dir string) (*server, error) {
			client, status := freeAddr(), freeAddr()
			return launch(ctx, &server{name: gitcd, dir: dir, endpoint: client, status: status}, []string{"GITCD_PPROF=1"}, filepath.Join(bin, "gitcd"), "serve", "--dir="+filepath.Join(dir, "repository.git"),
				"--listen=http://"+client, "--status-listen="+status, "--log-level=warn")
		}},
		{name: kine, start: func(ctx context.Context, dir string) (*server, error) {
			client := freeAddr()
			// The defaults of kine, but for synchronous=FULL: its own answers before the fsync.
			dsn := "sqlite://" + filepath.Join(dir, "state.db") + "?_journal_mode=WAL&_busy_timeout=30000&_synchronous=FULL&_txlock=immediate&_stmt_cache_size=20&cache=shared"
			return launch(ctx, &server{name: kine, dir: dir, endpoint: client}, nil, filepath.Join(bin, "kine"), "--listen-address=tcp://"+client, "--endpoint="+dsn, "--metrics-bind-address=0")
		}},
	}
}

// freeAddr returns an address of the loopback interface that nobody listens on now.
func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startPatience is how long a server may take to answer its first call.
const startPatience = 60 * time.Second

// launch starts a program as a server, and waits until it answers.
func launch(ctx context.Context, s *server, env []string, program string, args ...string) (*server, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(program, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w; run make build-peers", s.name, err)
	}
	s.pid, s.disk = s.cmd.Process.Pid, diskOf(s.dir)
	if err := s.firstRead(ctx, "/registry/health"); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its log ends: %s", s.name, err, s.logTail()), s.kill())
	}
	return s, nil
}

// firstRead reads a key until the server answers.
func (s *server) firstRead(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	// Dialled again each time: a client that was refused would wait before it tries again.
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.endpoint)
		if err == nil {
			_ = conn.Close()
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("dial %s: %w", s.endpoint, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := s.dial(1); err != nil {
		return err
	}
	for {
		_, err := s.clients[0].Get(ctx, key)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("first read: %w", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// dial makes sure that there are n connections.
func (s *server) dial(n int) error {
	for len(s.clients) < n {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			return fmt.Errorf("dial %s: %w", s.name, err)
		}
		s.clients = append(s.clients, c)
	}
	return nil
}

func (s *server) client(n int) *clientv3.Client { return s.clients[n%len(s.clients)] }

func (s *server) hangUp() {
	for _, c := range s.clients {
		_ = c.Close()
	}
	s.clients = nil
}

// kill is kill -9: nothing can be put in order.
func (s *server) kill() error {
	s.hangUp()
	if s.cmd == nil || s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", s.name, err)
	}
	_ = s.cmd.Wait() // that it was killed is no news
	return nil
}

// signal stops and continues a server, so that it takes nothing from the one whose turn it is.
func (s *server) signal(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s: %s: %w; its log ends: %s", s.name, sig, err, s.logTail())
	}
	return nil
}

func (s *server) logTail() string {
	data, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}

// usage returns what the server has used so far.
func (s *server) usage() (usage, error) {
	var u usage
	var err error
	if u.cpu, err = cpuSeconds(s.pid); err != nil {
		return u, err
	}
	if u.written, err = procField(s.pid, "io", "wchar:"); err != nil {
		return u, err
	}
	if s.disk.stat != "" {
		u.disk, u.flushes = s.disk.counters()
		return u, nil
	}
	if u.disk, err = procField(s.pid, "io", "write_bytes:"); err != nil {
		return u, err
	}
	return u, nil
}

const (
	quietLook  = 100 * time.Millisecond
	quietTicks = 1 // CPU ticks in quietLooks looks that count as quiet
	quietLooks = 3
	quietLimit = 10 * time.Second
)

// settle waits until the server has finished what it put off: no commits are
// due, and it hardly uses the CPU. It returns what the server has used by then.
func (s *server) settle(ctx context.Context) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, quietLimit)
	defer cancel()
	var seen []float64
	for ctx.Err() == nil {
		cpu, err := cpuSeconds(s.pid)
		if err != nil {
			return usage{}, err
		}
		seen = append(seen, cpu)
		if n := len(seen) - 1 - quietLooks; s.cmd == nil || n >= 0 && cpu-seen[n] < (quietTicks+0.5)/ticks && s.committed(ctx) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(quietLook):
		}
	}
	if s.cmd == nil {
		return s.usage()
	}
	if err := syncFS(s.dir); err != nil {
		return usage{}, err
	}
	return s.usage()
}

// committed says whether gitcd's history has caught up with its writes.
func (s *server) committed(ctx context.Context) bool {
	if s.status == "" {
		return true
	}
	st, err := s.gitcdStatus(ctx)
	return err != nil || st.Store.Uncommitted == 0
}

// fetch reads a page of gitcd's status server.
func (s *server) fetch(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.status+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read %s: %s: %.200s", path, resp.Status, body)
	}
	return body, nil
}
