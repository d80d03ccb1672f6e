// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package network gives the host its network namespace and joins it to the
// machine by one veth.
//
//	machine: veth NAME, Machine/24 ──── port of bridge node0, Node/24 :NAME
//	         route Pods, Services via Node      default via Machine
//
// # Laws
//
//  1. Up brings about the same network whatever was there of it before.
//  2. Down removes what Up made: the namespace, the veth, and with it the routes.
//  3. No setting of the machine's own namespace is changed; forwarding is on
//     inside the host's namespace only, so nothing behind it reaches further
//     than the machine.
package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

// inner is the veth's end inside the namespace.
const inner = "machine0"

// Up makes the namespace, the bridge, the veth and the routes.
func Up(ctx context.Context, c sandbox.Config) error {
	nets, err := c.Networks()
	if err != nil {
		return err
	}
	if !Exists(c) {
		if _, err := command.Run(ctx, "ip", "netns", "add", c.Name); err != nil {
			return fmt.Errorf("create network namespace: %w", err)
		}
	}
	if err := inside(ctx, c, nets); err != nil {
		return err
	}
	if !linkExists(c.Name) {
		_, err := command.Run(ctx, "ip", "link", "add", c.Name, "type", "veth", "peer", "name", inner, "netns", c.Name)
		if err != nil {
			return fmt.Errorf("create veth: %w", err)
		}
	}
	in := func(argv ...string) []string { return command.InNetNS(c.NetNS(), argv...) }
	for _, argv := range [][]string{
		in("ip", "link", "set", inner, "master", sandbox.NodeBridge, "up"),
		{"ip", "address", "replace", nets.Machine.String() + "/24", "dev", c.Name},
		{"ip", "link", "set", c.Name, "up"},
		{"ip", "route", "replace", nets.Pods.String(), "via", nets.Node.String(), "dev", c.Name},
		{"ip", "route", "replace", nets.Services.String(), "via", nets.Node.String(), "dev", c.Name},
		// A default route must exist, else the kernel refuses a ClusterIP before it is translated.
		in("ip", "route", "replace", "default", "via", nets.Machine.String(), "dev", sandbox.NodeBridge),
	} {
		if _, err := command.Run(ctx, argv...); err != nil {
			return fmt.Errorf("join the host's network to the machine: %w", err)
		}
	}
	return nil
}

// inside sets up loopback, bridge and forwarding in the namespace.
func inside(ctx context.Context, c sandbox.Config, nets sandbox.Networks) error {
	in := func(argv ...string) error {
		_, err := command.Run(ctx, command.InNetNS(c.NetNS(), argv...)...)
		return err
	}
	if err := in("ip", "link", "set", "lo", "up"); err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	if err := in("ip", "link", "show", sandbox.NodeBridge); err != nil {
		if err := in("ip", "link", "add", sandbox.NodeBridge, "type", "bridge"); err != nil {
			return fmt.Errorf("create bridge: %w", err)
		}
	}
	err := errors.Join(
		in("ip", "address", "replace", nets.Node.String()+"/24", "dev", sandbox.NodeBridge),
		in("ip", "link", "set", sandbox.NodeBridge, "up"),
		in("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
	)
	if err != nil {
		return fmt.Errorf("set up bridge: %w", err)
	}
	return nil
}

// Down removes the veth and the namespace; absence is success.
func Down(ctx context.Context, c sandbox.Config) error {
	if linkExists(c.Name) {
		if _, err := command.Run(ctx, "ip", "link", "delete", c.Name); err != nil {
			return fmt.Errorf("delete veth: %w", err)
		}
	}
	if !Exists(c) {
		return removeStale(c)
	}
	if _, err := command.Run(ctx, "ip", "netns", "delete", c.Name); err != nil {
		return fmt.Errorf("delete network namespace: %w", err)
	}
	return nil
}

// removeStale removes a name that no longer names a namespace, as after a reboot.
func removeStale(c sandbox.Config) error {
	if err := os.Remove(c.NetNS()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale network namespace: %w", err)
	}
	return nil
}

// nsfsMagic is the type of the file system that namespaces are files of.
const nsfsMagic = 0x6e736673

// Exists reports whether the name names a namespace.
func Exists(c sandbox.Config) bool {
	var st unix.Statfs_t
	return unix.Statfs(c.NetNS(), &st) == nil && st.Type == nsfsMagic
}

func linkExists(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name)
	return err == nil
}

// Leftovers lists what Down should have removed and did not.
func Leftovers(ctx context.Context, c sandbox.Config) []string {
	var left []string
	if linkExists(c.Name) {
		left = append(left, "network interface "+c.Name)
	}
	if _, err := os.Stat(c.NetNS()); err == nil {
		left = append(left, "network namespace "+c.NetNS())
	}
	nets, err := c.Networks()
	if err != nil {
		return left
	}
	for _, p := range []string{nets.Nodes.String(), nets.Pods.String(), nets.Services.String()} {
		out, err := command.Run(ctx, "ip", "-4", "route", "show", p)
		if err == nil && strings.TrimSpace(out) != "" {
			left = append(left, "route "+strings.TrimSpace(out))
		}
	}
	return left
}
