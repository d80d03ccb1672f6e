// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// startLimit is how long a supervisor may take to hold its lock.
	startLimit = 10 * time.Second
	// stopLimit is how long a supervisor may take to stop all its components.
	stopLimit = 90 * time.Second
)

// Process says how a supervisor is started as a process of its own.
type Process struct {
	RunDir string
	// Log is what it says of itself.
	Log  string
	Argv []string
	Env  []string
	// NewMounts gives it a mount namespace of its own.
	NewMounts bool
}

// Start starts a supervisor that outlives the caller, and returns when it holds
// the lock of its directory.
func (p Process) Start(ctx context.Context) error {
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // no secrets
	if err != nil {
		return fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer func() { _ = out.Close() }()                                               // the process has its own descriptor
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.Argv[0], p.Argv[1:]...) //nolint:gosec // our own program
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.NewMounts {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startLimit, true, func(context.Context) (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("the supervisor ended at once: %w", err)
		default:
			_, ok := Running(p.RunDir)
			return ok, nil
		}
	})
}

// Stop ends the supervisor of a directory, which ends its components in order.
// One that hangs is killed. Absence is success.
func Stop(ctx context.Context, runDir string) error {
	pid, ok := Running(runDir)
	if !ok {
		return nil
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal supervisor: %w", err)
	}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, stopLimit, true, func(context.Context) (bool, error) {
		_, ok := Running(runDir)
		return !ok, nil
	})
	if ctx.Err() != nil {
		return fmt.Errorf("wait for supervisor: %w", err)
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended just now
	}
	return nil
}
