// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// patience is how long anything here may take on a machine that does much else.
const patience = 30 * time.Second

// server is a process that can be killed and started again.
type server struct {
	command []string
	client  string
	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

// start starts a server of the test's own.
func start(t *testing.T) *server {
	t.Helper()
	client, peer := testbin.Address(t), testbin.Address(t)
	command := append(binary(t), "--name=default", "--data-dir="+filepath.Join(t.TempDir(), "data"), "--log-level=error",
		"--listen-client-urls=http://"+client, "--advertise-client-urls=http://"+client,
		"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer, "--initial-cluster=default=http://"+peer)
	s := &server{command: command, client: client}
	s.run(t)
	t.Cleanup(func() { s.kill(t) })
	return s
}

// binary is what is started, and its first arguments.
func binary(t *testing.T) []string {
	t.Helper()
	if file := os.Getenv("CONFORMANCE_SERVER"); file != "" {
		return []string{file}
	}
	return []string{testbin.Path(t, "gitcd"), "etcd"}
}

func (s *server) run(t *testing.T) {
	t.Helper()
	s.process = exec.Command(s.command[0], s.command[1:]...)
	var out strings.Builder
	s.process.Stdout, s.process.Stderr = &out, &out
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func() {
		_ = s.process.Wait() // it says that it was killed
		close(s.ended)
	}()
	eventually(t, "server", func() bool {
		select {
		case <-s.ended: // whoever answers is another's
			t.Fatalf("the server has ended: %s", out.String())
		default:
		}
		conn, err := net.Dial("tcp", s.client)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-s.ended
}

// connect returns a client of its own connection.
func (s *server) connect(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.client}, DialTimeout: patience, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the connection may be gone with its server
	return c
}

// session is a client's session, with a lease of ten seconds.
func session(t *testing.T, c *clientv3.Client) *concurrency.Session {
	t.Helper()
	s, err := concurrency.NewSession(c, concurrency.WithTTL(10))
	must(t, err)
	t.Cleanup(func() { s.Orphan() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, kv clientv3.KV, key, value string) *clientv3.PutResponse {
	t.Helper()
	r, err := kv.Put(t.Context(), key, value)
	must(t, err)
	return r
}

// value reads a key; it is empty if there is none.
func value(t *testing.T, kv clientv3.KV, key string) string {
	t.Helper()
	r, err := kv.Get(t.Context(), key)
	must(t, err)
	if len(r.Kvs) == 0 {
		return ""
	}
	return string(r.Kvs[0].Value)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// within receives, or fails.
func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("%s: the channel was closed", what)
		}
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("not reached")
	}
}
