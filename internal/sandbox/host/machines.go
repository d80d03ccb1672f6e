// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/images"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/machine"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/mountns"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/network"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// Machines is the component that brings a machine for each GitBackedMachine that
// waits for one, and the name of its log.
const Machines = "machines"

// MachinesSupervisor is the name of the log of the supervisor of that component.
// It is not the host's: it runs in the machine's own namespaces, since what it
// makes must be seen there, and it also serves hosts that are not ours.
const MachinesSupervisor = "machines-supervisor"

func machinesRun(c sandbox.Config) string { return c.Path("run-machines") }

// MachineOptions are the options of the machines of this configuration.
func MachineOptions(c sandbox.Config) (machine.Options, error) {
	o, err := machine.Default(c)
	if err != nil {
		return o, err
	}
	o.ImagesDir = images.WorkerDir(c)
	return o, nil
}

// SuperviseMachines is the process that keeps the watch for machines running.
func SuperviseMachines(ctx context.Context, c sandbox.Config, clk clock.WithTicker) error {
	return follow(ctx, c, machinesRun(c), clk)
}

// Gate is the component by which machines reach a hub beyond this machine.
const Gate = "gate"

// StartMachines starts the watch for machines, or leaves the one that runs. With
// a gate, the machines' network is made too: no host of ours has made it.
func StartMachines(ctx context.Context, c sandbox.Config, kubeconfig string, withGate bool) error {
	if withGate {
		if err := errors.Join(Claim(c), mountns.MakePoints(c)); err != nil {
			return err
		}
		if err := network.Up(ctx, c); err != nil {
			return err
		}
		if err := gate.Prepare(ctx, c); err != nil {
			return err
		}
	}
	for _, dir := range []string{machinesRun(c), logDir(c)} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // logs and pid files hold no secrets
			return fmt.Errorf("create directory for machines: %w", err)
		}
	}
	id, err := revision(c.Bin("sandbox"), kubeconfig)
	if err != nil {
		return err
	}
	list := []supervisor.Component{{
		Name: Machines, Argv: ownCommand(c, "machine", "watch", "--kubeconfig", kubeconfig), Revision: id,
	}}
	if withGate {
		list = append(list, supervisor.Component{Name: Gate, Argv: ownCommand(c, "gate"), Revision: id})
	}
	if err := supervisor.WriteComponents(machinesRun(c), list); err != nil {
		return err
	}
	if _, ok := supervisor.Running(machinesRun(c)); ok {
		return supervisor.Reload(machinesRun(c))
	}
	return supervisor.Process{
		RunDir: machinesRun(c), Log: c.Log(MachinesSupervisor), Argv: ownCommand(c, "supervise", "--machines"),
	}.Start(ctx)
}

// RemoveGuests removes what StartMachines with a gate made, after StopMachines.
func RemoveGuests(ctx context.Context, c sandbox.Config) error {
	if err := network.Down(ctx, c); err != nil {
		return err
	}
	return (&Host{Config: c}).removeState(ctx)
}

// StopMachines ends the watch for machines and deletes them all.
func StopMachines(ctx context.Context, c sandbox.Config) error {
	if err := supervisor.Stop(ctx, machinesRun(c)); err != nil {
		return err
	}
	o, err := MachineOptions(c)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Clean(o.StateDir)); err != nil {
		return nil //nolint:nilerr // there never was a machine
	}
	fleet, err := machine.New(o)
	if err != nil {
		return err
	}
	return fleet.DeleteAll(ctx)
}
