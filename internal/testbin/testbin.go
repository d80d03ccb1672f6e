// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testbin finds and starts what tests of both wings run: the real programs
// in bin/, and addresses for them to listen on. Only tests import it.
//
//	$HEADLESS_BIN, else bin/ of the checkout ─► Dir, Path ─► Start, StartAPIServer
//	25000 to 29999, from a place of the process's own ─► Port, Address, URL; Socket
//
// # Laws
//
//	T1 Said.  A program that was not built fails the test, with the command that builds it.
//	T2 Once.  A process gives no port twice: one that a test is about to listen on looks as free as any other.
//	T3 Apart. No port is one that the system gives to connections, or a cluster to its services.
//	T4 Mortal. What is started ends with its test, and with the test's process if that is killed.
package testbin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// Dir returns where the programs are, having looked for those that are named.
func Dir(t *testing.T, names ...string) string {
	t.Helper()
	dir := os.Getenv("HEADLESS_BIN")
	if dir == "" {
		root, err := checkout()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "bin")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatalf("%v; run make build-test, or say with HEADLESS_BIN where %s is", err, name)
		}
	}
	return dir
}

// Path returns the path of a program.
func Path(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(Dir(t, name), name)
}

// checkout finds the module that the test is of: tests run in their package's directory.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod in %s or above it; say with HEADLESS_BIN where the programs are", dir)
		}
	}
}

const firstPort, portCount = 25000, 5000

// ports counts those that were given out. Processes that run at once begin at places of their own.
var ports = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid()) * 331)
	return &n
}()

// Port returns a port of the loopback address that nobody listens on.
func Port(t *testing.T) int {
	t.Helper()
	for range portCount {
		port := firstPort + int(ports.Add(1)%portCount)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatalf("no port from %d on is free", firstPort)
	return 0
}

// Address returns host and port of a loopback address that nobody listens on.
func Address(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Port(t)))
}

// URL returns the http URL of one.
func URL(t *testing.T) string {
	t.Helper()
	return "http://" + Address(t)
}
