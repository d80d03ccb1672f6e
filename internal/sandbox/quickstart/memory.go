// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
)

// resident is the memory that one gitcd holds.
type resident struct {
	// Where is the pod, or the machine, that it runs in.
	Where string `json:"where"`
	Bytes int64  `json:"bytes"`
}

// residents finds every gitcd that this machine's kernel runs, and whose it is.
func residents() []resident {
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
		if bytes := host.Resident(pid); bytes > 0 {
			found = append(found, resident{Where: whose(dir), Bytes: bytes})
		}
	}
	slices.SortFunc(found, func(a, b resident) int { return strings.Compare(a.Where, b.Where) })
	return found
}

// whose names the pod by its HOSTNAME; a process without one is the host's own
// store or a machine's, told apart by its command line.
func whose(dir string) string {
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err == nil {
		for v := range strings.SplitSeq(string(environ), "\x00") {
			if name, ok := strings.CutPrefix(v, "HOSTNAME="); ok && name != "" && !isMachineName(name) {
				return "pod " + name
			}
		}
	}
	cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err == nil && strings.Contains(string(cgroup), "headless-m") {
		return "the worker"
	}
	return "the host's own store"
}

// isMachineName tells this machine's own name, which processes outside of pods inherit.
func isMachineName(name string) bool {
	own, err := os.Hostname()
	return err == nil && own == name
}
