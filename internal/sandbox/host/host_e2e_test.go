// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// kernelSettings are those that a kubelet would change.
func kernelSettings(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, f := range []string{"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "net/ipv4/ip_forward"} {
		b, err := os.ReadFile("/proc/sys/" + f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(f + "=" + string(b))
	}
	return all.String()
}

// newHost is a host of the test's own, beside any other on this machine.
func newHost(t *testing.T) *Host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes namespaces and containers: run it as root")
	}
	bin := os.Getenv(sandbox.EnvBinDir)
	if bin == "" {
		bin = filepath.Join("..", "..", "..", "bin")
	}
	c, err := sandbox.Config{Name: "headless-e2e", StateDir: "/var/lib/headless-e2e", BinDir: bin, Network: "10.231.0.0/16"}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Bin("kube-apiserver")); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return &Host{Config: c, Tell: narrate.New(t.Output(), clock.RealClock{}), Clock: clock.RealClock{}}
}

func TestAHostComesAndGoesWithoutATrace(t *testing.T) {
	h := newHost(t)
	before := kernelSettings(t)
	t.Cleanup(func() {
		if err := h.Down(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	if err := h.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := ReadStatus(h.Config)
	if err != nil || !s.Up {
		t.Fatalf("the host is not up: %+v, %v", s, err)
	}

	t.Log("again: nothing is restarted")
	if err := h.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := ReadStatus(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Components {
		if s.Components[i].PID != again.Components[i].PID {
			t.Errorf("%s was restarted", s.Components[i].Name)
		}
	}

	t.Log("the supervisor is killed: the host comes back with its objects")
	if _, err := h.Kubectl().Run(t.Context(), "create", "namespace", "kept"); err != nil {
		t.Fatal(err)
	}
	pid, ok := supervisor.Running(h.Config.Run())
	if !ok {
		t.Fatal("no supervisor runs")
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := h.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Kubectl().Run(t.Context(), "get", "namespace", "kept"); err != nil {
		t.Error(err)
	}

	if err := h.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := Leftovers(t.Context(), h.Config); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if after := kernelSettings(t); after != before {
		t.Errorf("kernel settings of the machine changed from\n%sto\n%s", before, after)
	}
}
