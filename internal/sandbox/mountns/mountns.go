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
//  2. A mount point that had to be made on the machine is written into the
//     ledger first, so that RemovePoints can remove it.
package mountns

import (
	"bufio"
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

func ledger(c sandbox.Config) string { return c.Path("made-on-the-machine") }

// MakePoints makes the mount points on the machine. It runs before the mount
// namespace is entered.
func MakePoints(c sandbox.Config) error {
	for _, p := range append([]string{"/run/netns"}, points...) {
		if err := makePoint(c, p); err != nil {
			return err
		}
	}
	return nil
}

// makePoint makes a directory, and notes each part of it that was not there.
func makePoint(c sandbox.Config, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != "/" {
		if err := makePoint(c, parent); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(ledger(c), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	_, err = fmt.Fprintln(f, dir)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // as the packages make them
		return fmt.Errorf("make mount point: %w", err)
	}
	return nil
}

// RemovePoints removes the mount points that MakePoints made and that are
// empty, deepest first.
func RemovePoints(c sandbox.Config) error {
	f, err := os.Open(ledger(c))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	var dirs []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		dirs = append(dirs, strings.TrimSpace(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	for _, d := range slices.Backward(dirs) {
		if entries, err := os.ReadDir(d); err != nil || len(entries) > 0 {
			continue // gone, or somebody else uses it by now
		}
		_ = unix.Unmount(d, unix.MNT_DETACH) // iproute2 mounts /run/netns on itself
		if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove mount point %s: %w", d, err)
		}
	}
	return nil
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
