// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

const (
	// needDisk is what the host, its images and a machine or two take.
	needDisk = 10 << 30
	// needDiskPercent is what kubelets want to be free: with less they evict pods, those of the control plane first.
	needDiskPercent = 15
	// needMemory is what the host, one headless cluster and one machine hold.
	needMemory = 5 << 30
)

func isRoot(context.Context, sandbox.Config) (string, error) {
	if uid := os.Geteuid(); uid != 0 {
		return "", fmt.Errorf("the user's id is %d: namespaces, mounts and cgroups need root", uid)
	}
	return "yes", nil
}

// tryout makes what the host's network is made of, in a namespace that ends
// with the program.
const tryout = `set -e
ip link set lo up
ip link add try0 type veth peer name try1
ip link add try2 type bridge
ip link set try1 master try2
iptables -t nat -A OUTPUT -d 192.0.2.1 -j DNAT --to-destination 127.0.0.1 -m comment --comment try
nft add table inet try
`

func canNetwork(ctx context.Context, _ sandbox.Config) (string, error) {
	if _, err := command.Run(ctx, "unshare", "--net", "--mount", "sh", "-c", tryout); err != nil {
		return "", fmt.Errorf("try veth, bridge, iptables and nftables in a new namespace: %w", err)
	}
	return "veth, bridge, iptables and nftables work in a new one", nil
}

func hasOverlay(context.Context, sandbox.Config) (string, error) {
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return "", fmt.Errorf("read file systems: %w", err)
	}
	if !strings.Contains(string(b), "\toverlay\n") {
		return "", errors.New("the kernel does not offer overlay")
	}
	return "the kernel offers it", nil
}

func hasCgroups(context.Context, sandbox.Config) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil {
		return "", fmt.Errorf("look at /sys/fs/cgroup: %w", err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		return "version 2", nil
	}
	for _, h := range []string{"cpu", "memory", "pids", "devices", "freezer"} {
		if _, err := os.Stat("/sys/fs/cgroup/" + h); err != nil {
			return "", fmt.Errorf("version 1 without the hierarchy %s", h)
		}
	}
	return "version 1", nil
}

func hasDisk(_ context.Context, c sandbox.Config) (string, error) {
	dir := c.StateDir
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	size := uint64(st.Bsize) //nolint:gosec // a block size is positive
	return roomy(dir, st.Bavail*size, st.Blocks*size)
}

// roomy says whether a disk has room for the sandbox, and whether its kubelets will think so, too.
func roomy(dir string, free, whole uint64) (string, error) {
	if free < needDisk {
		return "", fmt.Errorf("%d GiB are free below %s, %d are needed", free>>30, dir, needDisk>>30)
	}
	percent := free * 100 / max(whole, 1)
	if percent < needDiskPercent {
		return "", fmt.Errorf("%d GiB are free below %s, but that is %d%% of the disk: below %d%% the kubelet evicts pods", free>>30, dir, percent, needDiskPercent)
	}
	return fmt.Sprintf("%d GiB, %d%%, are free below %s", free>>30, percent, dir), nil
}

func hasMemory(context.Context, sandbox.Config) (string, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, "MemAvailable:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return "", fmt.Errorf("parse memory: %w", err)
		}
		if kib<<10 < needMemory {
			return "", fmt.Errorf("%d MiB are available, %d are needed", kib>>10, needMemory>>20)
		}
		return fmt.Sprintf("%d MiB are available", kib>>10), nil
	}
	return "", errors.New("the kernel does not say how much memory is available")
}

// addressesFree looks whether the machine uses the networks the host would take.
func addressesFree(ctx context.Context, c sandbox.Config) (string, error) {
	nets, err := c.Networks()
	if err != nil {
		return "", err
	}
	routes, err := command.Run(ctx, "ip", "-4", "route", "show", "table", "all")
	if err != nil {
		return "", fmt.Errorf("list routes: %w", err)
	}
	for _, p := range []netip.Prefix{nets.Nodes, nets.Pods, nets.Services} {
		if route := clash(routes, p, c.Name); route != "" {
			return "", fmt.Errorf("the machine has a route into %s: %s", p, route)
		}
	}
	return fmt.Sprintf("%s, %s and %s are free", nets.Nodes, nets.Pods, nets.Services), nil
}

// clash returns a route of another's that overlaps a network; the default route
// overlaps all and clashes with none.
func clash(routes string, p netip.Prefix, own string) string {
	for line := range strings.Lines(routes) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.Contains(line, " dev "+own+" ") {
			continue
		}
		dest := f[0]
		if len(f) > 1 && (dest == "local" || dest == "broadcast" || dest == "unreachable" || dest == "blackhole") {
			dest = f[1]
		}
		if !strings.Contains(dest, "/") {
			dest += "/32"
		}
		if r, err := netip.ParsePrefix(dest); err == nil && r.Bits() > 0 && r.Overlaps(p) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
