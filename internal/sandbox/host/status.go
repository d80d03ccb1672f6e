// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"strconv"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/network"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// Status is what is known of a host.
type Status struct {
	Name       string `json:"name"`
	StateDir   string `json:"stateDir"`
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Up says that all components are ready.
	Up bool `json:"up"`
	// Supervisor is the supervisor's process; 0 if none runs.
	Supervisor int               `json:"supervisor"`
	Network    bool              `json:"network"`
	Components []ComponentStatus `json:"components"`
}

// ComponentStatus is a component's state and the memory it holds.
type ComponentStatus struct {
	supervisor.State `json:",inline"`

	// ResidentBytes is 0 if it does not run.
	ResidentBytes int64 `json:"residentBytes"`
}

// ReadStatus looks at a host.
func ReadStatus(c sandbox.Config) (Status, error) {
	s := Status{Name: c.Name, StateDir: c.StateDir, Network: network.Exists(c), Components: []ComponentStatus{}}
	pid, ok := supervisor.Running(c.Run())
	if !ok {
		return s, nil
	}
	s.Supervisor, s.Kubeconfig, s.Up = pid, c.Kubeconfig(), true
	states, err := supervisor.ReadStates(c.Run())
	if err != nil {
		return s, err
	}
	for _, st := range states {
		s.Up = s.Up && st.Phase == supervisor.Ready
		s.Components = append(s.Components, ComponentStatus{State: st, ResidentBytes: Resident(st.PID)})
	}
	s.Up = s.Up && len(states) > 0
	return s, nil
}

// Resident returns the memory that a process holds, 0 if it is not there.
func Resident(pid int) int64 {
	if pid <= 0 {
		return 0
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
