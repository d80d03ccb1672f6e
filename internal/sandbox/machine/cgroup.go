// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// hierarchy is one cgroup mount of the host. Version 1 has one for each set of
// controllers, version 2 has one; both at once are the hybrid layout.
type hierarchy struct {
	mount   string // such as /sys/fs/cgroup/memory
	fstype  string // cgroup or cgroup2
	options string // what to mount it with again, such as memory or name=systemd
}

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies returns the host's cgroup mounts.
func hierarchies() ([]hierarchy, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	all := parseHierarchies(string(data))
	for _, h := range all {
		// systemd keeps its own groups in one of these two.
		if h.mount == cgroupRoot || strings.Contains(h.options, "name=systemd") {
			return all, nil
		}
	}
	return nil, errors.New("no cgroup hierarchy for systemd is mounted: mount cgroup2 on /sys/fs/cgroup, " +
		"or with version 1 `mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd`")
}

// parseHierarchies reads the text of /proc/self/mountinfo.
func parseHierarchies(text string) []hierarchy {
	var all []hierarchy
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 || !strings.HasPrefix(left[4]+"/", cgroupRoot+"/") {
			continue
		}
		h := hierarchy{mount: left[4], fstype: right[0]}
		switch h.fstype {
		case "cgroup2":
		case "cgroup":
			h.options = controllers(right[2])
		default:
			continue
		}
		all = append(all, h)
	}
	return all
}

// controllers is the part of a version 1 mount's options that says which hierarchy it is.
func controllers(super string) string {
	var keep []string
	for o := range strings.SplitSeq(super, ",") {
		switch {
		case o == "rw", o == "ro", o == "xattr", o == "clone_children", strings.HasPrefix(o, "release_agent="):
		case strings.HasPrefix(o, "name="):
			keep = append(keep, "none", o)
		default:
			keep = append(keep, o)
		}
	}
	return strings.Join(keep, ",")
}

// createGroups makes the machine's group in every hierarchy.
func createGroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if h.fstype == "cgroup2" && h.mount == cgroupRoot {
			// What the host does not delegate, the machine does without.
			_ = os.WriteFile(filepath.Join(h.mount, "cgroup.subtree_control"), []byte("+cpu +cpuset +io +memory +pids"), 0o600)
		}
		dir := filepath.Join(h.mount, name)
		if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("create cgroup: %w", err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(dir, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// inherit copies a version 1 cpuset from the parent: an empty one takes no process.
func inherit(dir, file string) error {
	have, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil || strings.TrimSpace(string(have)) != "" {
		return nil //nolint:nilerr // not a cpuset
	}
	parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
	if err != nil || strings.TrimSpace(string(parent)) == "" {
		return nil //nolint:nilerr // version 2: empty means the parent's
	}
	if err := os.WriteFile(filepath.Join(dir, file), parent, 0o600); err != nil { //nolint:gosec // a file of the kernel
		return fmt.Errorf("set cpuset of cgroup: %w", err)
	}
	return nil
}

// joinGroups moves the calling process into the machine's groups.
func joinGroups(all []hierarchy, name string) error {
	for _, h := range all {
		// "0" is the writer, whatever its number in this PID namespace.
		if err := os.WriteFile(filepath.Join(h.mount, name, "cgroup.procs"), []byte("0"), 0o600); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// removeGroups removes the machine's groups, which have no process any more.
func removeGroups(ctx context.Context, name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		var dirs []string
		// Groups may vanish during the walk; what is gone needs no removal.
		_ = filepath.WalkDir(filepath.Join(h.mount, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			// The kernel calls a group busy for a moment after its last process went.
			err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
				err := unix.Rmdir(dir)
				return err == nil || errors.Is(err, unix.ENOENT), nil
			})
			if err != nil {
				return fmt.Errorf("remove cgroup %s: %w", dir, err)
			}
		}
	}
	return nil
}
