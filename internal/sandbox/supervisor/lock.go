// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lock is a held lock file that names its holder.
type lock struct{ f *os.File }

// takeLock takes the lock of a directory and writes the holder's id into it.
func takeLock(runDir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(runDir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another supervisor runs in %s: %w", runDir, err), f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write lock: %w", err), f.Close())
	}
	return &lock{f: f}, nil
}

// release lets go; the kernel does the same when the process ends.
func (l *lock) release() { _ = l.f.Close() }

// Running returns the id of the supervisor that holds a directory's lock. It
// trusts the lock, not the file: a dead holder holds nothing.
func Running(runDir string) (pid int, ok bool) {
	f, err := os.Open(filepath.Join(runDir, lockFile))
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return 0, false
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
	return pid, err == nil && pid > 0
}
