// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// OS is the operating system's file system.
type OS struct{}

var _ FS = OS{}

type osFile struct{ *os.File }

// Size returns the length.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sync writes content and length to the disk; times may lag behind.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync "+f.Name(), err)
		}
	}
}

// Allocate takes room, where the file system can without writing; else by writing zeros.
func (f osFile) Allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return f.writeZeros(size)
		default:
			return os.NewSyscallError("fallocate "+f.Name(), err)
		}
	}
}

// writeZeros lengthens the file by writing.
func (f osFile) writeZeros(size int64) error {
	from, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 64<<10)
	for from < size && err == nil {
		n := min(size-from, int64(len(zeros)))
		_, err = f.WriteAt(zeros[:n], from)
		from += n
	}
	return err
}

// Open opens a file.
func (OS) Open(name string, mode Mode) (File, error) {
	flag := os.O_RDWR | os.O_CREATE
	switch mode {
	case Read:
		flag = os.O_RDONLY
	case Create:
		flag |= os.O_EXCL
	case Write, Lock:
	}
	f, err := openFile(name, flag)
	if err != nil {
		return nil, err
	}
	if mode != Lock {
		return osFile{f}, nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, readErr := os.ReadFile(name)
		err = errors.Join(err, f.Close(), readErr)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &LockedError{Name: name, Holder: strings.TrimSpace(string(holder))}
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return osFile{f}, nil
}

// openFile is os.OpenFile for regular files, which nobody polls: it saves the
// four calls that would find that out for each file.
func openFile(name string, flag int) (*os.File, error) {
	for {
		fd, err := unix.Open(name, flag|unix.O_CLOEXEC, 0o644)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &os.PathError{Op: "open", Path: name, Err: err}
		default:
			return os.NewFile(uintptr(fd), name), nil
		}
	}
}

// Rename moves a file. The kernel says whether it may: os.Rename would look first.
func (OS) Rename(from, to string) error {
	for {
		if err := unix.Rename(from, to); !errors.Is(err, unix.EINTR) {
			if err != nil {
				return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
			}
			return nil
		}
	}
}

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// List returns what is in a directory.
func (OS) List(dir string) ([]Entry, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(names))
	for _, n := range names {
		info, err := n.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{Name: n.Name(), Dir: n.IsDir(), Size: info.Size()})
	}
	return out, nil
}

// MakeDir makes a directory.
func (OS) MakeDir(dir string) error {
	return os.MkdirAll(dir, 0o755) //nolint:gosec // a repository may be read by others
}

// SyncDir syncs a directory.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Process names this process and its host, for lock files.
func Process() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	return fmt.Sprintf("pid %d on %s", os.Getpid(), host)
}
