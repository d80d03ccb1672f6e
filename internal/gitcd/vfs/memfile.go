// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
)

// inode is a file's content: as it is, as it survives, and the changes between.
type inode struct {
	data, synced []byte
	changes      []change
	locked       bool
}

// change is a write, or a truncation to off if data is nil.
type change struct {
	off  int64
	data []byte
}

type memFile struct {
	fs   *Mem
	name string
	node *inode
	mode Mode
}

// ReadAt reads.
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.before(Op{Kind: OpRead, Name: f.name, Off: off, Len: len(p)}); err != nil {
		return 0, err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes.
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if f.mode == Read {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: fs.ErrPermission}
	}
	size, err := f.Size()
	if err == nil {
		err = f.fs.before(Op{Kind: OpWrite, Name: f.name, Off: off, Len: len(p), Grows: off+int64(len(p)) > size})
	}
	if err != nil {
		p = p[:0]
	}
	if short, ok := errors.AsType[*ShortError](err); ok {
		p = p[:min(short.N, cap(p))]
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if len(p) > 0 {
		c := change{off: off, data: slices.Clone(p)}
		f.node.data = c.apply(f.node.data)
		f.node.changes = append(f.node.changes, c)
	}
	if err != nil {
		return len(p), &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	return len(p), nil
}

// Size returns the length.
func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

// Truncate cuts or lengthens.
func (f *memFile) Truncate(size int64) error {
	if err := f.fs.before(Op{Kind: OpTruncate, Name: f.name, Off: size}); err != nil {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: err}
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	c := change{off: size}
	f.node.data = c.apply(f.node.data)
	f.node.changes = append(f.node.changes, c)
	return nil
}

// Allocate lengthens. To a hook it is a write that grows.
func (f *memFile) Allocate(size int64) error {
	have, err := f.Size()
	if err != nil || size <= have {
		return err
	}
	if err := f.fs.before(Op{Kind: OpWrite, Name: f.name, Off: have, Len: int(size - have), Grows: true}); err != nil {
		return &fs.PathError{Op: "allocate", Path: f.name, Err: err}
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	c := change{off: size}
	f.node.data = c.apply(f.node.data)
	f.node.changes = append(f.node.changes, c)
	return nil
}

// Sync makes the content survive. One that fails has the system forget that
// there is something to be written, as Linux does: it shows, and no later sync writes it.
func (f *memFile) Sync() error {
	if err := f.fs.before(Op{Kind: OpSync, Name: f.name}); err != nil {
		f.fs.mu.Lock()
		defer f.fs.mu.Unlock()
		f.node.changes = nil
		return &fs.PathError{Op: "sync", Path: f.name, Err: err}
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	for _, c := range f.node.changes {
		f.node.synced = c.apply(f.node.synced)
	}
	f.node.changes = nil
	return nil
}

// Close gives up the lock.
func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.mode == Lock {
		f.node.locked = false
	}
	return nil
}

// apply returns the content after the change.
func (c change) apply(data []byte) []byte {
	if c.data == nil {
		if c.off <= int64(len(data)) {
			return data[:c.off:c.off]
		}
		return append(data, make([]byte, c.off-int64(len(data)))...)
	}
	if end := c.off + int64(len(c.data)); end > int64(len(data)) {
		data = append(data, make([]byte, end-int64(len(data)))...)
	}
	copy(data[c.off:], c.data)
	return data
}
