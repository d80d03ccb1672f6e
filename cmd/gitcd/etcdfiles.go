// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// openFiles counts files under the names that etcd's alerts know.
func openFiles() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("os_fd_used", "Files that are open.", func() float64 {
			names, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				return 0
			}
			return float64(len(names))
		}),
		gauge("os_fd_limit", "Files that may be open.", func() float64 {
			var limit syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				return 0
			}
			return float64(limit.Cur)
		}),
	}
}
