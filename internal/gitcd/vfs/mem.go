// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// Op is one operation on a Mem that can be made to fail.
type Op struct {
	Kind OpKind
	Name string
	Off  int64
	Len  int
	// Grows says that a write makes the file longer: it needs new room.
	Grows bool
}

// OpKind is the kind of an operation.
type OpKind string

// The operations.
const (
	OpOpen     OpKind = "open"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpSyncDir  OpKind = "syncdir"
)

// ShortError lets the first N bytes of a write through, if a hook returns it.
type ShortError struct {
	N   int
	Err error
}

// Error is the error of the write.
func (e *ShortError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the write.
func (e *ShortError) Unwrap() error { return e.Err }

// Mem is a file system in memory that knows what would survive a power cut.
// The zero value is empty. Directories survive as soon as they are made.
type Mem struct {
	mu sync.Mutex
	// names are what a running process sees, durable what survives.
	names, durable map[string]*inode
	dirs           map[string]bool
	// pending are the changes of names that no SyncDir covers, in order.
	pending []rename
	hook    func(Op) error
}

var _ FS = (*Mem)(nil)

// rename is a change of names: a file made (from is empty), moved, or removed (to is empty).
type rename struct {
	from, to string
	node     *inode
}

// SetHook lets a function see each operation before it happens, and fail it
// with an error. The hook may use the Mem, from which it is then called again.
func (m *Mem) SetHook(hook func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

func (m *Mem) before(op Op) error {
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(op)
}

func (m *Mem) initLocked() {
	if m.names == nil {
		m.names, m.durable = map[string]*inode{}, map[string]*inode{}
		m.dirs = map[string]bool{"/": true, ".": true}
	}
}

func notExist(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Open opens a file.
func (m *Mem) Open(name string, mode Mode) (File, error) {
	name = path.Clean(name)
	if err := m.before(Op{Kind: OpOpen, Name: name}); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.initLocked()
	n, ok := m.names[name]
	switch {
	case m.dirs[name]:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a directory")}
	case ok && mode == Create:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case ok && mode == Lock && n.locked:
		return nil, &LockedError{Name: name, Holder: strings.TrimSpace(string(n.data))}
	case !ok && mode == Read, !ok && !m.dirs[path.Dir(name)]:
		return nil, notExist("open", name)
	case !ok:
		n = &inode{}
		m.names[name] = n
		m.pending = append(m.pending, rename{to: name, node: n})
	}
	n.locked = n.locked || mode == Lock
	return &memFile{fs: m, name: name, node: n, mode: mode}, nil
}

// Rename moves a file.
func (m *Mem) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	if err := m.before(Op{Kind: OpRename, Name: to}); err != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.names[from]
	if !ok || !m.dirs[path.Dir(to)] {
		return notExist("rename", from)
	}
	delete(m.names, from)
	m.names[to] = n
	m.pending = append(m.pending, rename{from: from, to: to, node: n})
	return nil
}

// Remove removes a file.
func (m *Mem) Remove(name string) error {
	name = path.Clean(name)
	if err := m.before(Op{Kind: OpRemove, Name: name}); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.names[name]; !ok {
		return notExist("remove", name)
	}
	delete(m.names, name)
	m.pending = append(m.pending, rename{from: name})
	return nil
}

// List returns what is in a directory.
func (m *Mem) List(dir string) ([]Entry, error) {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.initLocked()
	if !m.dirs[dir] {
		return nil, notExist("list", dir)
	}
	var out []Entry
	for name, n := range m.names {
		if path.Dir(name) == dir {
			out = append(out, Entry{Name: path.Base(name), Size: int64(len(n.data))})
		}
	}
	for name := range m.dirs {
		if name != dir && path.Dir(name) == dir {
			out = append(out, Entry{Name: path.Base(name), Dir: true})
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// MakeDir makes a directory.
func (m *Mem) MakeDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.initLocked()
	for dir = path.Clean(dir); !m.dirs[dir]; dir = path.Dir(dir) {
		if _, ok := m.names[dir]; ok {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
		}
		m.dirs[dir] = true
	}
	return nil
}

// SyncDir makes the changes of names in a directory survive, and those before them that they build on.
func (m *Mem) SyncDir(dir string) error {
	dir = path.Clean(dir)
	if err := m.before(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	last := 0
	for i, r := range m.pending {
		if path.Dir(r.from) == dir || path.Dir(r.to) == dir {
			last = i + 1
		}
	}
	for _, r := range m.pending[:last] { // a file system journals names in order
		r.apply(m.durable)
	}
	m.pending = slices.Clone(m.pending[last:])
	return nil
}

func (r rename) apply(names map[string]*inode) {
	if r.from != "" {
		delete(names, r.from)
	}
	if r.to != "" {
		names[r.to] = r.node
	}
}

// Files returns the content of all files, by name: for tests to look at.
func (m *Mem) Files() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]byte{}
	for name, n := range m.names {
		out[name] = slices.Clone(n.data)
	}
	return out
}

// Overwrite changes bytes of a file behind everyone's back, as bit rot does.
func (m *Mem) Overwrite(name string, off int64, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.names[path.Clean(name)]
	if !ok || off+int64(len(data)) > int64(len(n.data)) {
		return fmt.Errorf("overwrite %s at %d: %w", name, off, fs.ErrNotExist)
	}
	copy(n.data[off:], data)
	n.synced = slices.Clone(n.data)
	n.changes = nil
	return nil
}
