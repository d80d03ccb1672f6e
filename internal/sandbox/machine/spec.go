// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
)

// Spec says what one machine shall be.
type Spec struct {
	// Name of the machine: its host name, and so the name of its Node.
	Name string `json:"name"`
	// UserData is given to cloud-init as it is.
	UserData []byte `json:"userData,omitempty"`
	// Reach are the only addresses that the machine can open connections to.
	Reach []netip.AddrPort `json:"reach,omitempty"`
	// Owner is the GitBackedMachine, as namespace/name, that the machine was brought for. Empty: a person made it.
	Owner string `json:"owner,omitempty"`
	// Address of the machine. Zero: a free one of the fleet's network.
	Address netip.Addr `json:"address,omitzero"`
}

// Options say where a fleet of machines lives. Default gives them for a sandbox host.
type Options struct {
	// StateDir holds one directory for each machine.
	StateDir string
	// NetNS is the file of the network namespace that the machines are wired to. Empty: the caller's.
	NetNS string
	// Uplink is an interface in that namespace on whose link the machines' addresses are answered for. Empty: none.
	Uplink string
	// Gateway is that namespace's address, as seen by the machines.
	Gateway netip.Addr
	// Network is what the machines' addresses are taken from.
	Network netip.Prefix
	// BinDir holds the programs of the machine image; each of Binaries becomes /usr/local/bin/<name>.
	BinDir   string
	Binaries []string
	// ImagesDir holds image archives that every machine imports into its containerd. Empty: none.
	ImagesDir string
	// Init is the command line of PID 1; the machine's directory is appended. Empty: this program's machine-init.
	Init []string
}

// Binaries are the programs that a machine image for headless clusters has installed.
func Binaries() []string {
	return []string{"gitcd", "kube-apiserver", "kubelet", "kube-proxy", "kubectl"}
}

// machineName is what is good as a host name, a Node's name and a directory.
var machineName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)

func (s Spec) validate() error {
	if !machineName.MatchString(s.Name) {
		return fmt.Errorf("machine name %q: use a DNS name of at most 63 of a-z, 0-9, '-' and '.'", s.Name)
	}
	for _, r := range s.Reach {
		if !r.IsValid() || !r.Addr().Is4() || r.Port() == 0 {
			return fmt.Errorf("machine %s can not be let reach %q: give an IPv4 address and a port", s.Name, r)
		}
	}
	return nil
}

// Errors of a fleet.
var (
	// ErrNotFound says that there is no machine of this name.
	ErrNotFound = errors.New("no such machine")
	// ErrFull says that the fleet's network has no free address.
	ErrFull = errors.New("no free address")
)

// tag is a short name of a machine for things whose names are short: interfaces.
func tag(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return fmt.Sprintf("%08x", h.Sum32())
}

// hostInterface is the host's end of the machine's veth pair.
func (s Spec) hostInterface() string { return "hm-" + tag(s.Name) }

// netns is the name of the machine's network namespace.
func (s Spec) netns() string { return "headless-m-" + s.Name }

// cgroup is the name of the machine's group in every hierarchy.
func (s Spec) cgroup() string { return "headless-m-" + s.Name }

func loadSpec(dir string) (Spec, error) {
	data, err := os.ReadFile(filepath.Join(dir, "spec.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Spec{}, fmt.Errorf("%w in %s", ErrNotFound, dir)
	}
	if err != nil {
		return Spec{}, fmt.Errorf("read machine: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return Spec{}, fmt.Errorf("read machine in %s: %w (delete the directory when nothing of the machine runs)", dir, err)
	}
	return s, nil
}

func (s Spec) save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory of machine %s: %w", s.Name, err)
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode machine %s: %w", s.Name, err)
	}
	// The user data holds keys.
	if err = os.WriteFile(filepath.Join(dir, "spec.json"), data, 0o600); err != nil {
		return fmt.Errorf("write machine %s: %w", s.Name, err)
	}
	return nil
}
