// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"sync"
)

// Overlay is a file system whose changes are in memory alone: what is below it
// is read, and never written. So a damaged directory can be opened as if to
// serve it, and looked at.
type Overlay struct {
	below FS
	above Mem

	mu sync.Mutex
	// hidden are the names below that were removed or replaced.
	hidden map[string]bool
}

var _ FS = (*Overlay)(nil)

// NewOverlay returns an overlay without changes.
func NewOverlay(below FS) *Overlay { return &Overlay{below: below, hidden: map[string]bool{}} }

// lift makes a file one of the overlay's own. It says whether there is one.
func (o *Overlay) lift(name string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hidden[name] {
		return Exists(&o.above, name)
	}
	data, err := ReadFile(o.below, name)
	if errors.Is(err, fs.ErrNotExist) {
		return Exists(&o.above, name)
	}
	if err != nil {
		return false, err
	}
	f, err := o.create(name)
	if err != nil {
		return false, err
	}
	_, err = f.WriteAt(data, 0)
	o.hidden[name] = true
	return true, errors.Join(err, f.Close())
}

func (o *Overlay) create(name string) (File, error) {
	if err := o.above.MakeDir(path.Dir(name)); err != nil {
		return nil, err
	}
	return o.above.Open(name, Write)
}

// Open opens a file: one that may be written to is copied before.
func (o *Overlay) Open(name string, mode Mode) (File, error) {
	name = path.Clean(name)
	if mode == Read {
		o.mu.Lock()
		hidden := o.hidden[name]
		o.mu.Unlock()
		if found, err := Exists(&o.above, name); err != nil || found || hidden {
			return o.above.Open(name, mode)
		}
		return o.below.Open(name, mode)
	}
	held, err := o.hold(name, mode)
	if err != nil {
		return nil, err
	}
	if _, err := o.lift(name); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	if err := o.above.MakeDir(path.Dir(name)); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	f, err := o.above.Open(name, mode)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return &overlaid{File: f, held: held}, nil
}

// hold takes the lock below as well, if there is a file and somebody may hold it.
func (o *Overlay) hold(name string, mode Mode) (unheld, error) {
	if mode != Lock {
		return unheld{}, nil
	}
	if found, err := Exists(o.below, name); err != nil || !found {
		return unheld{}, err
	}
	f, err := o.below.Open(name, Lock)
	if errors.Is(err, fs.ErrPermission) {
		return unheld{}, nil
	}
	return unheld{f}, err
}

// unheld is a lock below, if there is one.
type unheld struct{ File }

// Close gives up the lock.
func (u unheld) Close() error {
	if u.File == nil {
		return nil
	}
	return u.File.Close()
}

// overlaid is a file that can be written to, and the lock below that goes with it.
type overlaid struct {
	File
	held unheld
}

// Close closes both.
func (f *overlaid) Close() error { return errors.Join(f.File.Close(), f.held.Close()) }

// Rename moves a file.
func (o *Overlay) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	if _, err := o.lift(from); err != nil {
		return err
	}
	if err := o.above.MakeDir(path.Dir(to)); err != nil {
		return err
	}
	if err := o.above.Rename(from, to); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hidden[from], o.hidden[to] = true, true
	return nil
}

// Remove removes a file.
func (o *Overlay) Remove(name string) error {
	name = path.Clean(name)
	if found, err := o.lift(name); err != nil || !found {
		return cmp.Or(err, notExist("remove", name))
	}
	return o.above.Remove(name)
}

// List returns what is in a directory.
func (o *Overlay) List(dir string) ([]Entry, error) {
	dir = path.Clean(dir)
	own, ownErr := o.above.List(dir)
	if ownErr != nil && !errors.Is(ownErr, fs.ErrNotExist) {
		return nil, ownErr
	}
	other, err := o.below.List(dir)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || ownErr != nil) {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range other {
		mine := slices.ContainsFunc(own, func(m Entry) bool { return m.Name == e.Name })
		if !mine && !o.hidden[path.Join(dir, e.Name)] {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return own, nil
}

// MakeDir makes a directory.
func (o *Overlay) MakeDir(dir string) error { return o.above.MakeDir(dir) }

// SyncDir does nothing: nothing lasts.
func (o *Overlay) SyncDir(string) error { return nil }
