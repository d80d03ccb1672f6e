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
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

// table is the nftables table of the host's namespace that holds what machines may reach.
const table = "headless-machines"

// guard is the table. It decides before addresses are translated (priority -150
// is after connection tracking and before destination NAT), so a NodePort is
// allowed by the address that the machine asked for. A machine that is not in the
// set, or borrows an address, reaches nothing.
const guard = `
table inet ` + table + ` {
	set reach {
		type ipv4_addr . ipv4_addr . inet_service
	}
	chain prerouting {
		type filter hook prerouting priority -150; policy accept;
		iifname "hm-*" jump machine
	}
	chain machine {
		ct state established,related accept
		ip saddr . ip daddr . tcp dport @reach accept
		drop
	}
}
`

// host prefixes a command so that it runs in the namespace that machines are wired to.
func (f *Fleet) host(argv ...string) []string {
	if f.o.NetNS == "" {
		return argv
	}
	return command.InNetNS(f.o.NetNS, argv...)
}

func netnsFile(s Spec) string { return filepath.Join("/run/netns", s.netns()) }

// connect makes the machine's namespace, its veth pair, and what it may reach.
func (f *Fleet) connect(ctx context.Context, s Spec) error {
	if err := f.disconnect(ctx, s); err != nil {
		return err
	}
	if _, err := command.Run(ctx, "ip", "netns", "add", s.netns()); err != nil {
		return fmt.Errorf("create network namespace: %w", err)
	}
	inside := func(argv ...string) []string { return command.InNetNS(netnsFile(s), argv...) }
	address := s.Address.String() + "/32"
	steps := [][]string{
		f.host("ip", "link", "add", s.hostInterface(), "type", "veth", "peer", "name", "eth0", "netns", s.netns()),
		f.host("ip", "link", "set", s.hostInterface(), "up"),
		f.host("ip", "route", "replace", address, "dev", s.hostInterface()),
		inside("ip", "link", "set", "lo", "up"),
		inside("ip", "address", "add", address, "dev", "eth0"),
		inside("ip", "link", "set", "eth0", "up"),
		inside("ip", "route", "add", "default", "via", f.o.Gateway.String(), "dev", "eth0", "onlink"),
		inside("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
	}
	if f.o.Uplink != "" {
		steps = append(steps, f.host("ip", "neigh", "replace", "proxy", s.Address.String(), "dev", f.o.Uplink))
	}
	for _, argv := range steps {
		if _, err := command.Run(ctx, argv...); err != nil {
			return fmt.Errorf("connect machine: %w", err)
		}
	}
	return f.allow(ctx, s)
}

// allow writes down what the machine may reach. It stands before the machine starts.
func (f *Fleet) allow(ctx context.Context, s Spec) error {
	script := strings.Builder{}
	if _, err := command.Run(ctx, f.host("nft", "list", "table", "inet", table)...); err != nil {
		script.WriteString(guard)
	}
	for _, r := range s.Reach {
		fmt.Fprintf(&script, "add element inet %s reach { %s . %s . %d }\n", table, s.Address, r.Addr(), r.Port())
	}
	return f.nft(ctx, script.String())
}

func (f *Fleet) nft(ctx context.Context, script string) error {
	if _, err := command.RunWith(ctx, command.Options{Stdin: strings.NewReader(script)}, f.host("nft", "-f", "-")...); err != nil {
		return fmt.Errorf("set packet filter: %w", err)
	}
	return nil
}

// disconnect removes what connect made; absence is success.
func (f *Fleet) disconnect(ctx context.Context, s Spec) error {
	if f.o.NetNS != "" && !exists(f.o.NetNS) {
		// The host's namespace is gone, and with it all that was in it.
		return removeNetNS(ctx, s)
	}
	if _, err := command.Run(ctx, f.host("ip", "link", "show", s.hostInterface())...); err == nil {
		if _, err := command.Run(ctx, f.host("ip", "link", "delete", s.hostInterface())...); err != nil {
			return fmt.Errorf("delete veth: %w", err)
		}
	}
	if f.o.Uplink != "" && s.Address.IsValid() {
		// Absent when an earlier Delete got this far.
		_, _ = command.Run(ctx, f.host("ip", "neigh", "delete", "proxy", s.Address.String(), "dev", f.o.Uplink)...)
	}
	if err := f.forbid(ctx, s); err != nil {
		return err
	}
	return removeNetNS(ctx, s)
}

// forbid removes what the machine may reach; with the last machine, the table.
func (f *Fleet) forbid(ctx context.Context, s Spec) error {
	if _, err := command.Run(ctx, f.host("nft", "list", "table", "inet", table)...); err != nil {
		return nil //nolint:nilerr // no table, no rules
	}
	others, err := f.List()
	if err != nil {
		return err
	}
	last := true
	for _, m := range others {
		last = last && m.Name == s.Name
	}
	if last {
		return f.nft(ctx, "delete table inet "+table+"\n")
	}
	for _, r := range s.Reach {
		element := fmt.Sprintf("inet %s reach { %s . %s . %d }", table, s.Address, r.Addr(), r.Port())
		if _, err := command.Run(ctx, f.host("nft", "get element "+element)...); err == nil {
			if err := f.nft(ctx, "delete element "+element+"\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeNetNS(ctx context.Context, s Spec) error {
	if !exists(netnsFile(s)) {
		return nil
	}
	if _, err := command.Run(ctx, "ip", "netns", "delete", s.netns()); err != nil {
		// A name without a namespace is left behind when the host was restarted.
		if err := os.Remove(netnsFile(s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove network namespace: %w", err)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
