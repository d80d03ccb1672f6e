// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// Mode says how a file is opened.
type Mode uint8

// The ways to open a file.
const (
	// Read opens a file that exists, for reading.
	Read Mode = iota
	// Write opens a file for reading and writing, and makes it if there is none.
	Write
	// Create makes a file for reading and writing that must not exist.
	Create
	// Lock is Write for one holder at a time; see LockedError.
	Lock
)

// FS is a file system. Names are paths with slashes.
type FS interface {
	// Open opens a file.
	Open(name string, mode Mode) (File, error)
	// Rename moves a file over another one, or over nothing.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// List returns what is in a directory, ordered by name.
	List(dir string) ([]Entry, error)
	// MakeDir makes a directory and those above it, unless they exist.
	MakeDir(dir string) error
	// SyncDir makes the names in a directory survive a power cut.
	SyncDir(dir string) error
}

// File is an open file. It has no position: it is read and written at offsets.
type File interface { //nolint:interfacebloat // it is a file, not a role
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the length.
	Size() (int64, error)
	// Truncate cuts the file, or lengthens it with zeros.
	Truncate(size int64) error
	// Allocate lengthens the file with zeros up to size, and takes the room for them: no write below fails for lack of it.
	Allocate(size int64) error
	// Sync makes the content, and the length, survive a power cut.
	Sync() error
}

// Entry is one name in a directory.
type Entry struct {
	Name string
	Dir  bool
	Size int64
}

// LockedError says that a file opened with Lock has a holder already.
type LockedError struct {
	Name string
	// Holder is the content of the file: what its holder wrote into it.
	Holder string
}

// Error names the holder.
func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is locked by %s", e.Name, e.Holder)
}

// ReadFile returns a file's content.
func ReadFile(fsys FS, name string) (_ []byte, err error) {
	f, err := fsys.Open(name, Read)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil
}

// WriteFile replaces a file's content at once: readers see the old or the new.
// If durable is set, the new content survives a power cut once WriteFile has returned.
func WriteFile(fsys FS, name string, data []byte, durable bool) error {
	tmp := name + ".tmp"
	f, err := CreateAnew(fsys, tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	if !durable {
		return nil
	}
	return fsys.SyncDir(path.Dir(name))
}

// CreateAnew makes a file in the place of one that may have been left there.
func CreateAnew(fsys FS, name string) (File, error) {
	f, err := fsys.Open(name, Create)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return fsys.Open(name, Create)
}

// Exists says whether there is a file or directory of this name.
func Exists(fsys FS, name string) (bool, error) {
	entries, err := fsys.List(path.Dir(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	for _, e := range entries {
		if e.Name == path.Base(name) {
			return true, nil
		}
	}
	return false, nil
}
