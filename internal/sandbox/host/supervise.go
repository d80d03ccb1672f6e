// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

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
	return follow(ctx, c, c.Run(), clk)
}

// follow runs the components of a directory's list until ctx ends.
func follow(ctx context.Context, c sandbox.Config, runDir string, clk clock.WithTicker) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	s := supervisor.New(supervisor.Options{
		RunDir: runDir, LogDir: logDir(c), Clock: clk,
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
	machine, err := mountns.Current()
	if err != nil {
		return err
	}
	return supervisor.Process{
		RunDir: c.Run(), Log: c.Log(supervisorLog), NewMounts: true,
		Env:  []string{envMachineNS + "=" + machine},
		Argv: command.InNetNS(c.NetNS(), ownCommand(c, "supervise")...),
	}.Start(ctx)
}

// ownCommand is a command line of this program for this configuration.
func ownCommand(c sandbox.Config, args ...string) []string {
	return append(append([]string{c.Bin("sandbox")}, args...),
		"--name", c.Name, "--state-dir", c.StateDir, "--bin-dir", c.BinDir, "--network", c.Network)
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
