// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// debianPackage is a package and a program by which it is recognised.
type debianPackage struct{ name, program string }

// packages are what the sandbox and its machines run of Debian's.
var packages = []debianPackage{
	{"containerd", "containerd"},
	{"runc", "runc"},
	{"containernetworking-plugins", pluginDir + "/bridge"},
	{"iproute2", "ip"},
	{"iptables", "iptables"},
	{"nftables", "nft"},
	{"conntrack", "conntrack"},
	{"cloud-init", "cloud-init"},
	{"systemd", "/lib/systemd/systemd"},
	{"dbus", "dbus-daemon"},
	{"util-linux", "nsenter"},
	{"procps", "sysctl"},
	{"git", "git"},
	{"ca-certificates", "/etc/ssl/certs/ca-certificates.crt"},
}

// pluginDir is where Debian puts the CNI plugins.
const pluginDir = "/usr/lib/cni"

func (p debianPackage) installed() bool {
	if filepath.IsAbs(p.program) {
		_, err := os.Stat(p.program)
		return err == nil
	}
	if _, err := exec.LookPath(p.program); err == nil {
		return true
	}
	_, err := os.Stat("/usr/sbin/" + p.program) // not every user's PATH has it
	return err == nil
}

func packageNames() []string {
	names := make([]string, 0, len(packages))
	for _, p := range packages {
		names = append(names, p.name)
	}
	return names
}

func hasPackages(context.Context, sandbox.Config) (string, error) {
	var missing []string
	for _, p := range packages {
		if !p.installed() {
			missing = append(missing, p.name)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	return fmt.Sprintf("all %d are installed", len(packages)), nil
}

// plugins are those that the host's and its clusters' CNI configurations name.
var plugins = []string{"bridge", "host-local", "loopback", "portmap"}

func hasPlugins(context.Context, sandbox.Config) (string, error) {
	for _, p := range plugins {
		if _, err := os.Stat(filepath.Join(pluginDir, p)); err != nil {
			return "", fmt.Errorf("plugin %s is not in %s", p, pluginDir)
		}
	}
	return strings.Join(plugins, ", ") + " are in " + pluginDir, nil
}
