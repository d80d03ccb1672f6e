// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.uber.org/zap"
)

// server is a process that can be killed and started again.
type server struct {
	binary, dir  string
	client, peer string // host:port
	log          *os.File
	process      *exec.Cmd
	links        *collector
	kills        int
	pauses       int
}

const startTimeout = 30 * time.Second

func startServer(t *testing.T) *server {
	t.Helper()
	binary := os.Getenv("ROBUSTNESS_ETCD")
	if binary == "" {
		t.Fatal("ROBUSTNESS_ETCD does not say which server to test; run this with make conformance SUITE=robustness")
	}
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(artifacts(t), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{binary: binary, dir: dir, log: log, client: freeAddress(t), peer: freeAddress(t)}
	s.links = collect(filepath.Join(s.repository(), "gitcd", "journal"), filepath.Join(dir, "kept"))
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.links.end() // stop has told what went wrong
		if s.process != nil {
			_ = s.process.Process.Kill() // it may have ended
			_ = s.process.Wait()
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// freeAddress finds a port that nobody listens on. It is none of those that the
// system gives to connections, which would take it while a server is dead.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(25000+rand.IntN(7000)))
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
}

func (s *server) dataDir() string    { return filepath.Join(s.dir, "data") }
func (s *server) repository() string { return filepath.Join(s.dataDir(), "repository.git") }

// start starts the process and waits until it listens.
func (s *server) start() error {
	cmd := exec.Command(s.binary, "--name=default", "--data-dir="+s.dataDir(), "--log-level=error",
		"--listen-client-urls=http://"+s.client, "--advertise-client-urls=http://"+s.client,
		"--listen-peer-urls=http://"+s.peer, "--initial-advertise-peer-urls=http://"+s.peer, "--initial-cluster=default=http://"+s.peer)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	s.process = cmd
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.client, time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Since(began) > startTimeout {
			return fmt.Errorf("wait for the server to listen: %w; see %s", err, s.log.Name())
		}
	}
}

// faults kills and pauses in turn until the context ends, with time between in which the traffic recovers.
func (s *server) faults(ctx context.Context) error {
	for n := 0; ; n++ {
		if !wait(ctx, time.Second+rand.N(2*time.Second)) {
			return nil
		}
		fault := s.kill
		if n%2 == 1 {
			fault = s.pause
		}
		if err := fault(); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// kill is kill -9 and, at once or a moment later, a new start.
func (s *server) kill() error {
	s.kills++
	if err := s.process.Process.Kill(); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	_ = s.process.Wait() // it says that it was killed
	time.Sleep(rand.N(300 * time.Millisecond))
	return s.start()
}

// pause stops the process for longer than requests wait.
func (s *server) pause() error {
	s.pauses++
	if err := s.process.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	time.Sleep(100*time.Millisecond + rand.N(900*time.Millisecond))
	if err := s.process.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("continue: %w", err)
	}
	return nil
}

// stop ends the server as an operator does, and returns the requests that it kept.
func (s *server) stop(t *testing.T) []model.EtcdRequest {
	t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := s.process.Wait()
	s.process = nil
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || !strings.Contains(exit.String(), "terminated")) {
		t.Fatalf("the server did not stop in peace: %v; see %s", err, s.log.Name())
	}
	if err := s.links.end(); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed %d times, paused %d times", s.kills, s.pauses)
	if _, err := os.Stat(s.repository()); err != nil {
		kept, err := report.PersistedRequests(zap.NewNop(), []string{s.dataDir()})
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	return s.fromGit(t)
}

// fromGit reads the op records, and compares what they come to with what stock Git shows.
func (s *server) fromGit(t *testing.T) []model.EtcdRequest {
	t.Helper()
	log, err := readLog(s.links.to)
	if err != nil {
		t.Fatalf("read op records: %v", err)
	}
	kept, end, err := requests(log)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := gitTree(t.Context(), s.repository(), "main")
	if err != nil {
		t.Fatal(err)
	}
	if err := sameTree(end, shown); err != nil {
		t.Fatalf("git show main is not what the op records come to: %v", err)
	}
	return kept
}
