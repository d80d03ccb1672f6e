// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// spoolSuffix is how the names in a spool end.
const spoolSuffix = ".snapshot"

// Spool is a directory for databases on their way out. They are removed when
// they are closed, and those that a crash left when the spool is opened again.
type Spool struct{ dir string }

// OpenSpool opens, or makes, a spool. Nobody else may use the directory.
func OpenSpool(dir string) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	for _, e := range left {
		if !strings.HasSuffix(e.Name(), spoolSuffix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("clean spool: %w", err)
		}
	}
	return &Spool{dir: dir}, nil
}

// Write makes a database in the spool.
func (s *Spool) Write(ctx context.Context, state *State, changes Changes) (*File, error) {
	f, err := os.CreateTemp(s.dir, "*"+spoolSuffix)
	if err != nil {
		return nil, fmt.Errorf("make snapshot: %w", err)
	}
	name := f.Name()
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("make snapshot: %w", err)
	}
	out, err := Write(ctx, name, state, changes)
	if err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	out.remove = name
	return out, nil
}
