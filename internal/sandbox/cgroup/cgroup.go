// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cgroup keeps every process of the host below one cgroup: the
// components in NAME/system, the pods in NAME/kubepods. So they can all be
// found, and none can be missed.
//
//	/sys/fs/cgroup/<hierarchy>/NAME/system          supervisor and components
//	/sys/fs/cgroup/<hierarchy>/NAME/kubepods/...    containers, by the kubelet
//
// # Laws
//
//  1. Create makes NAME in every hierarchy of the machine: a kubelet refuses a
//     cgroup root that one of them lacks.
//  2. A process is the host's if and only if it is below NAME; children inherit it.
//  3. Remove ends them all before it removes the groups.
//
// Both cgroup v1 and v2 have these laws; v1 has many hierarchies, v2 has one.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// system is the group of the components, beside the kubelet's kubepods.
const system = "system"

// hierarchies returns the mount points of the machine's cgroup hierarchies. In
// the hybrid layout runc uses the v2 hierarchy beside those of v1.
func hierarchies() ([]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	found := parseMounts(string(b))
	if len(found) == 0 {
		return nil, errors.New("no cgroup file system is mounted: mount cgroup2 on /sys/fs/cgroup")
	}
	return found, nil
}

// parseMounts finds the cgroup mounts in the text of /proc/self/mounts.
func parseMounts(mounts string) []string {
	var found []string
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasPrefix(f[1], "/sys/fs/cgroup") && (f[2] == "cgroup" || f[2] == "cgroup2") {
			found = append(found, f[1])
		}
	}
	return found
}

// Create makes the host's groups.
func Create(name string) error {
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range hs {
		dir := filepath.Join(h, name)
		if err := os.MkdirAll(filepath.Join(dir, system), 0o755); err != nil { //nolint:gosec // cgroups are readable by all
			return fmt.Errorf("create cgroup: %w", err)
		}
		for _, d := range []string{dir, filepath.Join(dir, system)} {
			if err := inheritCPUSet(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCPUSet copies the parent's cpus and mems, without which a v1 cpuset
// takes no process.
func inheritCPUSet(dir string) error {
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		own := filepath.Join(dir, f)
		have, err := os.ReadFile(own)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read cpuset: %w", err)
		}
		if strings.TrimSpace(string(have)) != "" {
			continue
		}
		parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), f))
		if err != nil || strings.TrimSpace(string(parent)) == "" {
			continue // v2 leaves it empty: it means the parent's
		}
		if err := os.WriteFile(own, parent, 0o644); err != nil { //nolint:gosec // a kernel file
			return fmt.Errorf("write cpuset: %w", err)
		}
	}
	return nil
}

// Join moves the calling process, and so all it will start, into the group of
// the components.
func Join(name string) error {
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range hs {
		procs := filepath.Join(h, name, system, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil { //nolint:gosec // a kernel file
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// Processes returns the ids of all processes of the host.
func Processes(name string) ([]int, error) {
	hs, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, h := range hs {
		for _, dir := range groups(filepath.Join(h, name)) {
			b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				continue // the group went away while we looked
			}
			for f := range strings.FieldsSeq(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// groups returns a group and all below it, parents first.
func groups(root string) []string {
	var dirs []string
	// Groups may vanish during the walk; what is gone needs no visit.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

// Kill ends every process of the host.
func Kill(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		pids, err := Processes(name)
		if err != nil {
			return false, err
		}
		for _, pid := range pids {
			if pid != os.Getpid() {
				_ = unix.Kill(pid, unix.SIGKILL) // it may be gone already
			}
		}
		return len(pids) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("end the processes of cgroup %s: %w", name, err)
	}
	return nil
}

// Remove kills what is left of the host's processes and removes its groups.
func Remove(ctx context.Context, name string) error {
	if err := Kill(ctx, name); err != nil {
		return err
	}
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range hs {
		dirs := groups(filepath.Join(h, name))
		slices.Reverse(dirs)
		for _, d := range dirs {
			if err := removeGroup(ctx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeGroup removes one empty group; the kernel may call it busy for a moment
// after its last process went.
func removeGroup(ctx context.Context, dir string) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
		err := unix.Rmdir(dir)
		return err == nil || errors.Is(err, unix.ENOENT), nil
	})
	if err != nil {
		return fmt.Errorf("remove cgroup %s: %w", dir, err)
	}
	return nil
}

// Leftovers lists the groups that Remove should have removed and did not.
func Leftovers(name string) []string {
	hs, err := hierarchies()
	if err != nil {
		return nil
	}
	var left []string
	for _, h := range hs {
		if dir := filepath.Join(h, name); exists(dir) {
			left = append(left, "cgroup "+dir)
		}
	}
	return left
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
