// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// program is the gitcd under test, made of the sources beside this file.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gitcd")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "gitcd")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// run runs a program to its end, which must be good.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := output(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, out)
	}
	return out
}

func output(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=p", "GIT_AUTHOR_EMAIL=p@x.invalid", "GIT_COMMITTER_NAME=p", "GIT_COMMITTER_EMAIL=p@x.invalid", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return run(t, "git", append([]string{"-C", dir}, args...)...)
}

// server is a running gitcd.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error
}

// serve starts gitcd and waits until all its URLs answer.
func serve(t *testing.T, urls []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, log: &bytes.Buffer{}, done: make(chan error, 1)}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, append([]string{"serve"}, args...)...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	for _, url := range urls {
		eventually(t, url+" answers", func() bool {
			select {
			case err := <-s.done:
				t.Fatalf("gitcd ended: %v\n%s", err, s.log)
			default:
			}
			_, err := output(t, testbin.Path(t, "etcdctl"), "--endpoints", url, "--command-timeout=1s", "get", "x")
			return err == nil
		})
	}
	t.Cleanup(s.stop)
	return s
}

// stop ends gitcd as an operator does.
func (s *server) stop() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("gitcd ended: %v\n%s", err, s.log)
		}
	case <-time.After(30 * time.Second):
		s.t.Error("gitcd does not end")
	}
	s.cmd = nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// ctl runs etcdctl.
func ctl(t *testing.T, url string, args ...string) string {
	t.Helper()
	return run(t, testbin.Path(t, "etcdctl"), append([]string{"--endpoints", url}, args...)...)
}

func config(t *testing.T, format string, args ...any) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "apiVersion: gitcd.trishanku.org/v1alpha1\nkind: Config\n" + fmt.Sprintf(format, args...)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
