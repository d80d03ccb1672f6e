// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

const (
	// EnvStateDir names the state directory when no flag does.
	EnvStateDir = "HEADLESS_SANDBOX_DIR"
	// EnvBinDir names the directory of the binaries when no flag does.
	EnvBinDir = "HEADLESS_BIN"

	// DefaultName is the host's name: its namespace, its cgroup, its veth, its node.
	DefaultName = "headless-host"
	// DefaultStateDir is where all state lies.
	DefaultStateDir = "/var/lib/headless-sandbox"
	// DefaultNetwork is the first of three /16 networks that the host takes.
	DefaultNetwork = "10.201.0.0/16"

	// StoreGitcd is what the host's API server keeps its objects in.
	StoreGitcd = "gitcd"
	// StoreEtcd is what an ordinary one does: to compare with.
	StoreEtcd = "etcd"

	// nameLimit is the kernel's limit for the name of a network interface.
	nameLimit = 15
)

// Config is one sandbox host. The zero value is completed by Complete.
type Config struct {
	// Name is the host's name; two hosts on one machine differ in it, in StateDir and in Network.
	Name string
	// StateDir holds everything the host writes.
	StateDir string
	// BinDir holds the binaries the host runs.
	BinDir string
	// Network is the first of three consecutive /16 networks: nodes, pods, services.
	Network string
	// Store is StoreGitcd or StoreEtcd.
	Store string
}

// Complete fills what is empty and reports what is impossible.
func (c Config) Complete() (Config, error) {
	var err error
	if c.Name == "" {
		c.Name = DefaultName
	}
	if len(c.Name) > nameLimit || strings.ContainsAny(c.Name, "/ .%") {
		return c, fmt.Errorf("sandbox name %q: it names a network interface, so use at most %d of a-z, 0-9 and '-'", c.Name, nameLimit)
	}
	if c.StateDir == "" {
		c.StateDir = first(os.Getenv(EnvStateDir), DefaultStateDir)
	}
	if c.StateDir, err = filepath.Abs(c.StateDir); err != nil {
		return c, fmt.Errorf("resolve state directory: %w", err)
	}
	if c.BinDir == "" {
		c.BinDir = first(os.Getenv(EnvBinDir), besideExecutable())
	}
	if c.BinDir, err = filepath.Abs(c.BinDir); err != nil {
		return c, fmt.Errorf("resolve directory of binaries: %w", err)
	}
	if c.Network == "" {
		c.Network = DefaultNetwork
	}
	if _, err := parseNetwork(c.Network); err != nil {
		return c, err
	}
	switch c.Store = first(c.Store, StoreGitcd); c.Store {
	case StoreGitcd, StoreEtcd:
		return c, nil
	default:
		return c, fmt.Errorf("sandbox store %q: use %s or %s", c.Store, StoreGitcd, StoreEtcd)
	}
}

// first returns the first of its arguments that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// besideExecutable is the directory of the running binary: bin/sandbox finds its siblings there.
func besideExecutable() string {
	self, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(self)
}

// parseNetwork accepts an IPv4 /16 that has two more /16 after it.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("sandbox network %q: write a /16 such as %s: %w", s, DefaultNetwork, err)
	}
	if !p.Addr().Is4() || p.Bits() != 16 || p.Addr().As4()[1] > 253 {
		return netip.Prefix{}, fmt.Errorf("sandbox network %q: it must be an IPv4 /16 with two more after it, such as %s", s, DefaultNetwork)
	}
	return p.Masked(), nil
}

// Networks are the address ranges and addresses of a host.
type Networks struct {
	Nodes    netip.Prefix // of the node, the machine and the sandbox machines
	Pods     netip.Prefix
	Services netip.Prefix

	Node    netip.Addr // where the API server and NodePorts answer
	Machine netip.Addr // the machine's own address in Nodes
	API     netip.Addr // ClusterIP of the Service "kubernetes"
	DNS     netip.Addr // ClusterIP of the cluster's DNS
}

// ErrIncomplete is returned for a Config that did not go through Complete.
var ErrIncomplete = errors.New("the sandbox's configuration is not complete: call Complete first")

// Networks computes the address plan. It fails only for a Config that did not
// go through Complete.
func (c Config) Networks() (Networks, error) {
	p, err := parseNetwork(c.Network)
	if err != nil {
		return Networks{}, errors.Join(ErrIncomplete, err)
	}
	a := p.Addr().As4()
	at := func(second, third, fourth byte) netip.Addr {
		return netip.AddrFrom4([4]byte{a[0], a[1] + second, third, fourth})
	}
	return Networks{
		Nodes:    netip.PrefixFrom(at(0, 0, 0), 24),
		Pods:     netip.PrefixFrom(at(1, 0, 0), 16),
		Services: netip.PrefixFrom(at(2, 0, 0), 16),
		Node:     at(0, 0, 1),
		Machine:  at(0, 0, 254),
		API:      at(2, 0, 1),
		DNS:      at(2, 0, 10),
	}, nil
}
