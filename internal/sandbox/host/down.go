// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/cgroup"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/mountns"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/network"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// Down removes all that Up made and returns an error that lists what is left.
func (h *Host) Down(ctx context.Context) error {
	return h.take(ctx, []step{
		{"delete the sandbox machines", MachinesSupervisor, func(ctx context.Context) error { return StopMachines(ctx, h.Config) }},
		{"stop the components", supervisorLog, func(ctx context.Context) error { return supervisor.Stop(ctx, h.Config.Run()) }},
		{"end what is left of the host's processes", "", func(ctx context.Context) error { return cgroup.Remove(ctx, h.Config.Name) }},
		{"remove the network namespace", "", func(ctx context.Context) error { return network.Down(ctx, h.Config) }},
		{"remove " + h.Config.StateDir, "", h.removeState},
		{"look for leftovers", "", func(ctx context.Context) error { return Prove(ctx, h.Config, h.Tell) }},
	})
}

// removeState removes the state directory and the mount points made for it.
func (h *Host) removeState(ctx context.Context) error {
	c := h.Config
	if _, err := os.Stat(c.StateDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(c.Path(markerFile)); err != nil {
		return narrate.Mend(fmt.Errorf("%s is not marked as a sandbox's: %w", c.StateDir, err), "remove it by hand if you know what it is")
	}
	mounts, err := mountns.Mounts(c.StateDir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	if err := mountns.RemovePoints(c); err != nil {
		return err
	}
	return removeAll(ctx, c)
}

// removeAll removes the state directory, the marker last: an interrupted Down
// can be repeated. The kernel may take a moment to let go of the last mounts.
func removeAll(ctx context.Context, c sandbox.Config) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 15*time.Second, true, func(context.Context) (bool, error) {
		entries, err := os.ReadDir(c.StateDir)
		if err != nil {
			return false, fmt.Errorf("look into state directory: %w", err)
		}
		var failed []error
		for _, e := range entries {
			if e.Name() != markerFile {
				failed = append(failed, os.RemoveAll(c.Path(e.Name())))
			}
		}
		last = errors.Join(failed...)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("remove state directory: %w", errors.Join(err, last))
	}
	if err := os.RemoveAll(c.StateDir); err != nil {
		return fmt.Errorf("remove state directory: %w", err)
	}
	return nil
}

// Prove looks for everything that should have been removed, and fails if any of
// it is there.
func Prove(ctx context.Context, c sandbox.Config, tell *narrate.Narrator) error {
	left := Leftovers(ctx, c)
	if len(left) > 0 {
		return narrate.Mend(errors.New("left over: "+strings.Join(left, "; ")), "run it again; if they stay, remove them by hand")
	}
	tell.Sayf("  nothing is left: no process, cgroup, namespace, interface, route, mount or directory of %s", c.Name)
	return nil
}

// Leftovers lists what there is of a host that should not be there.
func Leftovers(ctx context.Context, c sandbox.Config) []string {
	left := slices.Concat(network.Leftovers(ctx, c), cgroup.Leftovers(c.Name), mountns.Leftovers())
	if mounts, err := mountns.Mounts(c.StateDir); err == nil {
		for _, m := range mounts {
			left = append(left, "mount "+m)
		}
	}
	if _, err := os.Stat(c.StateDir); err == nil {
		left = append(left, "directory "+c.StateDir)
	}
	if pids, err := cgroup.Processes(c.Name); err == nil && len(pids) > 0 {
		left = append(left, fmt.Sprintf("processes %v", pids))
	}
	return left
}
