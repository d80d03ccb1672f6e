// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
)

// resident is the memory that one gitcd holds.
type resident struct {
	// Where is the pod, or the machine, that it runs in.
	Where string `json:"where"`
	Bytes int64  `json:"bytes"`
}

// residents finds the gitcds of this host, of its pods and of its machines.
// Others may run on this machine; they are none of the story's.
func residents(c sandbox.Config) []resident {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil // the pattern is constant and good
	}
	var found []resident
	for _, dir := range dirs {
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil || strings.TrimSpace(string(comm)) != "gitcd" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil {
			continue // it ended meanwhile
		}
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			continue
		}
		if where := whose(c, string(groups), string(environ)); where != "" {
			found = append(found, resident{Where: where, Bytes: host.Resident(pid)})
		}
	}
	slices.SortFunc(found, func(a, b resident) int { return strings.Compare(a.Where, b.Where) })
	return found
}

// machinePrefix begins the name of a machine's cgroup.
const machinePrefix = "headless-m-"

// whose tells by its cgroup and its environment what a process belongs to; empty
// if it is nothing of the host's.
func whose(c sandbox.Config, groups, environ string) string {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		top, below, _ := strings.Cut(strings.TrimPrefix(parts[2], "/"), "/")
		machine, isMachine := strings.CutPrefix(top, machinePrefix)
		switch {
		case isMachine && isOurs(c, machine):
			return "machine " + machine
		case top == c.Name && strings.HasPrefix(below, "kubepods"):
			return "pod " + hostname(environ)
		case top == c.Name:
			return "the host's own store"
		}
	}
	return ""
}

// isOurs tells the machines of this configuration from those of others.
func isOurs(c sandbox.Config, machine string) bool {
	_, err := os.Stat(c.Path("machines", machine))
	return err == nil
}

// hostname reads a pod's name out of a process's environment.
func hostname(environ string) string {
	for v := range strings.SplitSeq(environ, "\x00") {
		if name, ok := strings.CutPrefix(v, "HOSTNAME="); ok {
			return name
		}
	}
	return "without a name"
}
