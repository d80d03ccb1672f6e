// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import "path/filepath"

// NodeBridge is the bridge inside the network namespace that carries the node's
// address and to which sandbox machines attach.
const NodeBridge = "node0"

// Bin returns the path of a binary.
func (c Config) Bin(name string) string { return filepath.Join(c.BinDir, name) }

// Path returns a path below the state directory.
func (c Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.StateDir}, elem...)...)
}

// Kubeconfig is the administrator's kubeconfig.
func (c Config) Kubeconfig() string { return c.Path("kubeconfig") }

// Log is the log of one component.
func (c Config) Log(component string) string { return c.Path("logs", component+".log") }

// Run is the directory of pid files and of the supervisor's state.
func (c Config) Run() string { return c.Path("run") }

// NetNS is the file that names the network namespace.
func (c Config) NetNS() string { return filepath.Join("/run/netns", c.Name) }

// ContainerdSocket is where the host's containerd listens.
func (c Config) ContainerdSocket() string { return c.Path("containerd", "containerd.sock") }

// Archives is the directory of the image archives; they belong to the binaries,
// not to the host, so they outlive it.
func (c Config) Archives() string { return filepath.Join(c.BinDir, "images") }

// Manifests is the directory of third-party manifests that the build collects.
func (c Config) Manifests() string { return filepath.Join(c.BinDir, "manifests") }
