// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/cgroup"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/mountns"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// envMachineNS tells the supervisor which mount namespace is the machine's.
const envMachineNS = "HEADLESS_SANDBOX_MACHINE_MNT"

// Supervise is the supervisor process: it runs until ctx ends. It must have been
// started by Up, in the host's network namespace and a mount namespace of its own.
func Supervise(ctx context.Context, c sandbox.Config, clk clock.WithTicker) error {
	if err := cgroup.Join(c.Name); err != nil {
		return err
	}
	if err := mountns.Enter(c, os.Getenv(envMachineNS)); err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	s := supervisor.New(supervisor.Options{
		RunDir: c.Run(), LogDir: logDir(c), Clock: clk,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	return s.Run(ctx, reload)
}

// supervise writes the list of components and has the supervisor follow it,
// starting one if none runs.
func (h *Host) supervise(ctx context.Context) error {
	c := h.Config
	list, err := components(c)
	if err != nil {
		return err
	}
	if err := supervisor.WriteComponents(c.Run(), list); err != nil {
		return err
	}
	if _, ok := supervisor.Running(c.Run()); ok {
		return supervisor.Reload(c.Run())
	}
	if err := h.restart(ctx); err != nil {
		return err
	}
	return h.startSupervisor(ctx)
}

// startSupervisor starts it in the host's network namespace and a new mount
// namespace, as the leader of a session of its own.
func (h *Host) startSupervisor(ctx context.Context) error {
	c := h.Config
	out, err := os.OpenFile(c.Log(supervisorLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // no secrets
	if err != nil {
		return fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer func() { _ = out.Close() }()
	machine, err := mountns.Current()
	if err != nil {
		return err
	}
	argv := command.InNetNS(c.NetNS(), c.Bin("sandbox"), "supervise",
		"--name", c.Name, "--state-dir", c.StateDir, "--bin-dir", c.BinDir, "--network", c.Network)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...) //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), envMachineNS+"="+machine)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("the supervisor ended at once: %w", err)
		default:
			_, ok := supervisor.Running(c.Run())
			return ok, nil
		}
	})
}

// restart makes the state that of a machine after its start: a supervisor that
// was killed, or a machine that was, leaves processes without a parent and a
// runtime state without processes. Both would mislead the next containerd.
func (h *Host) restart(ctx context.Context) error {
	if err := cgroup.Kill(ctx, h.Config.Name); err != nil {
		return err
	}
	for _, dir := range []string{"containerd/state", "private/run/containerd"} {
		if err := os.RemoveAll(h.Config.Path(dir)); err != nil {
			return fmt.Errorf("remove runtime state: %w", err)
		}
	}
	return nil
}
