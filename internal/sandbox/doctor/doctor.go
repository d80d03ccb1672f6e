// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doctor looks whether a machine can carry a sandbox host, and names
// the mend for each thing that it lacks.
//
//	Check ─► Finding{Name, OK, Detail, Mend} ─► printed, or an error that lists the mends
//
// # Laws
//
//  1. Looking changes nothing: what can only be known by doing is done in
//     namespaces that end with the look.
//  2. Every finding that is not OK names its mend.
//  3. A check that could not look says so; it does not say OK.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// Finding is what one check found.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Mend   string `json:"mend,omitempty"`
}

// check is one question to the machine.
type check struct {
	name string
	look func(ctx context.Context, c sandbox.Config) (detail string, err error)
	mend func(c sandbox.Config) string
}

// say makes a mend that is always the same.
func say(mend string) func(sandbox.Config) string {
	return func(sandbox.Config) string { return mend }
}

// checks are asked in this order.
var checks = []check{
	{"root", isRoot, say("run it with sudo")},
	{"packages", hasPackages, say("apt-get install -y " + strings.Join(packageNames(), " ") + "   (or: sandbox doctor --install)")},
	{"CNI plugins", hasPlugins, say("apt-get install -y containernetworking-plugins")},
	{"network namespaces", canNetwork, say("use a kernel with CONFIG_NET_NS, VETH, BRIDGE, NF_TABLES and NFT_COMPAT, and allow this user to unshare")},
	{"overlayfs", hasOverlay, say("modprobe overlay")},
	{"cgroups", hasCgroups, say("mount -t cgroup2 none /sys/fs/cgroup   (or let systemd do it)")},
	{"disk", hasDisk, func(c sandbox.Config) string {
		return "free some space, or choose a larger disk with --state-dir (now " + c.StateDir + ")"
	}},
	{"memory", hasMemory, say("end what else runs on this machine, or use a larger one")},
	{"addresses", addressesFree, say("choose another network with --network, such as 10.211.0.0/16")},
}

// Check asks everything.
func Check(ctx context.Context, c sandbox.Config) []Finding {
	found := make([]Finding, 0, len(checks))
	for _, q := range checks {
		f := Finding{Name: q.name, OK: true}
		detail, err := q.look(ctx, c)
		if f.Detail = detail; err != nil {
			f.OK, f.Detail, f.Mend = false, err.Error(), q.mend(c)
		}
		found = append(found, f)
	}
	return found
}

// Verdict is nil if all is well, else an error with every fault and mend.
func Verdict(found []Finding) error {
	var faults, mends []string
	for _, f := range found {
		if !f.OK {
			faults = append(faults, f.Name+": "+f.Detail)
			mends = append(mends, f.Mend)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return narrate.Mend(errors.New(strings.Join(faults, "; ")), strings.Join(mends, "\n        "))
}

// Install installs the Debian packages that are missing.
func Install(ctx context.Context, tell func(format string, args ...any)) error {
	var missing []string
	for _, p := range packages {
		if !p.installed() {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := os.Stat("/usr/bin/apt-get"); err != nil {
		return narrate.Mend(fmt.Errorf("install %s: this machine has no apt-get", strings.Join(missing, ", ")),
			"install what provides "+strings.Join(missing, ", ")+" with your own package manager")
	}
	tell("apt-get install %s", strings.Join(missing, " "))
	o := command.Options{Env: append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")}
	// Services that packages start would change the machine: the sandbox runs its own containerd.
	keepQuiet, err := forbidServices()
	if err != nil {
		return err
	}
	defer keepQuiet()
	if _, err := command.RunWith(ctx, o, "apt-get", "update", "-qq"); err != nil {
		return fmt.Errorf("update package lists: %w", err)
	}
	argv := append([]string{"apt-get", "install", "-y", "-qq", "--no-install-recommends"}, missing...)
	if _, err := command.RunWith(ctx, o, argv...); err != nil {
		return fmt.Errorf("install packages: %w", err)
	}
	return nil
}

// policyFile is asked by Debian's packages before they start a service.
const policyFile = "/usr/sbin/policy-rc.d"

// forbidServices keeps packages from starting services until the returned
// function is called. A policy of the machine's owner is left alone.
func forbidServices() (allow func(), err error) {
	if _, err := os.Stat(policyFile); err == nil {
		return func() {}, nil
	}
	if err := os.WriteFile(policyFile, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { //nolint:gosec // it must be executable
		return nil, fmt.Errorf("keep packages from starting services: %w", err)
	}
	return func() { _ = os.Remove(policyFile) }, nil
}
