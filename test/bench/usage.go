// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// usage is what a process has used since its start, and its disk since boot.
type usage struct {
	cpu     float64 // seconds, user and system
	written int64   // bytes through write(2) and its kin, sockets among them
	disk    int64   // bytes that the disk was told to write, by anybody
	flushes int64   // times that the disk was told to empty its cache, by anybody
}

func (u usage) since(v usage) usage {
	return usage{cpu: u.cpu - v.cpu, written: u.written - v.written, disk: u.disk - v.disk, flushes: u.flushes - v.flushes}
}

// ticks is USER_HZ, which is 100 wherever Linux runs Go.
const ticks = 100

// cpuSeconds returns the user and system time of a process.
func cpuSeconds(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	// The name may hold spaces; the fields behind its bracket do not.
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time: %q has too few fields", data)
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return (user + system) / ticks, nil
}

// procField returns the number behind a name in a file of /proc.
func procField(pid int, file, name string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("read %s: /proc/%d/%s does not have it", name, pid, file)
}

// resident returns the resident memory of a process in bytes.
func resident(pid int) (int64, error) {
	kib, err := procField(pid, "status", "VmRSS:")
	return kib << 10, err
}

// disk is the block device below a directory. Its numbers are those of
// everybody who uses it: measure on a machine that does nothing else.
type disk struct {
	stat string // the device's file of counters; empty: not known
	name string
}

const sector = 512

// String says where the number of bytes comes from.
func (d disk) String() string {
	if d.stat == "" {
		return "bytes to disk: by /proc/PID/io, since the device below is not known"
	}
	return "bytes to disk: by the device " + d.name + ", everybody's"
}

func diskOf(dir string) disk {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return disk{name: "unknown"}
	}
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return disk{name: "no block device"}
	}
	return disk{stat: filepath.Join(target, "stat"), name: filepath.Base(target)}
}

// counters returns bytes written and flushes since boot.
func (d disk) counters() (written, flushes int64) {
	data, err := os.ReadFile(d.stat)
	if err != nil {
		return 0, 0
	}
	var n []int64
	for f := range strings.FieldsSeq(string(data)) {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, 0
		}
		n = append(n, v)
	}
	if len(n) < 7 {
		return 0, 0
	}
	if len(n) > 15 {
		flushes = n[15]
	}
	return n[6] * sector, flushes
}

// syncFS brings what is dirty in the file system of a directory to its disk.
func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync file system: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync file system of %s: %w", dir, err)
	}
	return nil
}
