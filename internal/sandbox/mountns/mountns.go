// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mountns gives the host's components a view of the file system of
// their own: paths that are compiled into containerd, libcni and the kubelet
// lead to the state directory, and the kernel settings that the kubelet insists
// on are files.
//
//	state/private/run/containerd ─bind─► /run/containerd
//	state/private/sysctl/...     ─bind─► /proc/sys/vm/overcommit_memory ...
//
// # Laws
//
//  1. Only the calling process's mount namespace changes, and it must be its
//     own: the mounts vanish with its last process.
//  2. A mount point that had to be made on the machine is marked, and is removed
//     when no sandbox uses it any more.
package mountns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// points are the directories that containerd (shim sockets, runc), libcni and
// the kubelet use whatever they are told.
var points = []string{"/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers"}

// settings are the kernel settings that the kubelet would write, and the values
// that it wants to see.
var settings = map[string]string{
	"/proc/sys/vm/overcommit_memory":      "1",
	"/proc/sys/vm/panic_on_oom":           "0",
	"/proc/sys/kernel/panic":              "10",
	"/proc/sys/kernel/panic_on_oops":      "1",
	"/proc/sys/kernel/keys/root_maxkeys":  "1000000",
	"/proc/sys/kernel/keys/root_maxbytes": "25000000",
}

// marker is in every mount point that a sandbox made: one that its owner had is
// never removed.
const marker = ".made-by-headless-sandbox"

// netnsDir is where iproute2 keeps network namespaces. It makes and mounts it at
// the first one; whether it was there is noted in the state directory.
const netnsDir = "/run/netns"

func noNetNS(c sandbox.Config) string { return c.Path("no-network-namespaces-before") }

// MakePoints makes the mount points on the machine. It runs before the mount
// namespace is entered.
func MakePoints(c sandbox.Config) error {
	if _, err := os.Stat(netnsDir); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(noNetNS(c), nil, 0o600); err != nil {
			return fmt.Errorf("note that there are no network namespaces: %w", err)
		}
	}
	for _, p := range points {
		if err := makePoint(p); err != nil {
			return err
		}
	}
	return nil
}

// makePoint makes a directory and marks it, unless it is there.
func makePoint(dir string) error {
	err := os.Mkdir(dir, 0o755) //nolint:gosec // as the packages make them
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, marker), nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	return nil
}

// RemovePoints removes the mount points that sandboxes made and that nobody
// uses any more.
func RemovePoints(c sandbox.Config) error {
	used, err := mountedElsewhere()
	if err != nil {
		return err
	}
	for _, p := range points {
		if err := removePoint(p, used[p]); err != nil {
			return err
		}
	}
	if _, err := os.Stat(noNetNS(c)); err != nil {
		return nil //nolint:nilerr // there were network namespaces before
	}
	if entries, err := os.ReadDir(netnsDir); err == nil && len(entries) == 0 {
		_ = unix.Unmount(netnsDir, unix.MNT_DETACH) // iproute2 mounts it on itself
		if err := unix.Rmdir(netnsDir); err != nil {
			return fmt.Errorf("remove %s: %w", netnsDir, err)
		}
	}
	return nil
}

// removePoint removes a mount point that holds nothing but its marker. One that
// is mounted over in another mount namespace stays, as another host's: the
// kernel would take the mount away with the directory.
func removePoint(dir string, used bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil || used || len(entries) != 1 || entries[0].Name() != marker {
		return nil //nolint:nilerr // gone, or not ours to remove
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, marker)), unix.Rmdir(dir)); err != nil {
		return fmt.Errorf("remove mount point %s: %w", dir, err)
	}
	return nil
}

// Leftovers lists the mount points that sandboxes made, nobody uses, and
// RemovePoints should have removed.
func Leftovers() []string {
	used, err := mountedElsewhere()
	if err != nil {
		return nil
	}
	var left []string
	for _, p := range points {
		if _, err := os.Stat(filepath.Join(p, marker)); err == nil && !used[p] {
			left = append(left, "mount point "+p)
		}
	}
	return left
}

// mountedElsewhere returns what is mounted in the mount namespaces of other
// processes.
func mountedElsewhere() (map[string]bool, error) {
	own, err := Current()
	if err != nil {
		return nil, err
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	seen, mounted := map[string]bool{own: true}, map[string]bool{}
	for _, dir := range processes {
		id, err := os.Readlink(filepath.Join(dir, "ns", "mnt"))
		if err != nil || seen[id] {
			continue // it ended, or it is not for us to see
		}
		seen[id] = true
		b, err := os.ReadFile(filepath.Join(dir, "mounts"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 {
				mounted[f[1]] = true
			}
		}
	}
	return mounted, nil
}

// Enter mounts what the components shall see. The calling process must be in a
// mount namespace of its own; machine names the one it must not be.
func Enter(c sandbox.Config, machine string) error {
	if err := isPrivate(machine); err != nil {
		return err
	}
	for _, p := range points {
		source := c.Path("private", p)
		if err := os.MkdirAll(source, 0o700); err != nil {
			return fmt.Errorf("make private directory: %w", err)
		}
		if err := unix.Mount(source, p, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s over %s: %w", source, p, err)
		}
	}
	for file, value := range settings {
		if _, err := os.Stat(file); err != nil {
			continue // this kernel has no such setting, and the kubelet asks for none
		}
		source := c.Path("private", "sysctl", strings.ReplaceAll(strings.TrimPrefix(file, "/proc/sys/"), "/", "."))
		if err := os.MkdirAll(filepath.Dir(source), 0o700); err != nil {
			return fmt.Errorf("make private settings: %w", err)
		}
		if err := os.WriteFile(source, []byte(value+"\n"), 0o600); err != nil {
			return fmt.Errorf("write private setting: %w", err)
		}
		if err := unix.Mount(source, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s over %s: %w", source, file, err)
		}
	}
	return nil
}

// Current names the calling process's mount namespace.
func Current() (string, error) {
	id, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return "", fmt.Errorf("read mount namespace: %w", err)
	}
	return id, nil
}

// isPrivate refuses to go on in the machine's own mount namespace.
func isPrivate(machine string) error {
	own, err := Current()
	if err != nil {
		return err
	}
	if machine == "" || own == machine {
		return errors.New("this is not a mount namespace of its own: `sandbox up` starts the supervisor in one")
	}
	return nil
}

// Mounts returns the mount points at or below a directory, deepest first.
func Mounts(dir string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 1 && (f[1] == dir || strings.HasPrefix(f[1], dir+"/")) {
			found = append(found, f[1])
		}
	}
	slices.Reverse(found)
	return found, nil
}
