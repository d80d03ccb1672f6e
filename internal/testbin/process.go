// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package testbin

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Start runs a program until the test ends, and not longer than the test's process. It is asked to end first, and killed if
// it does not within ten seconds. If the test fails, the last of what it said is shown.
func Start(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), Path(t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how it ended is no news
		kill.Stop()
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s said, at the end:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
}

// Socket returns the URL of a Unix socket that nobody listens on. Its path is short: a long one cannot be bound.
func Socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return "unix://" + filepath.Join(dir, "s")
}
