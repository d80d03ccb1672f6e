// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs_test

import (
	"errors"
	"io/fs"
	"maps"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestOverlay changes everything above, and nothing below.
func TestOverlay(t *testing.T) {
	m := &vfs.Mem{}
	if err := m.MakeDir("/d/e"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/d/a", "/d/b", "/d/c"} {
		if err := write(t, m, name, "below "+name).Close(); err != nil {
			t.Fatal(err)
		}
	}
	before := m.Files()
	o := vfs.NewOverlay(m)
	f, err := o.Open("/d/a", vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("ABOVE"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Truncate(7), f.Close(), o.Remove("/d/b"), o.Rename("/d/c", "/d/e/c"), o.SyncDir("/d")); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(o, "/d/new", []byte("new"), true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"/d/a": "ABOVE /", "/d/e/c": "below /d/c", "/d/new": "new"} {
		if got, err := vfs.ReadFile(o, name); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"/d/b", "/d/c"} {
		if _, err := o.Open(name, vfs.Read); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if err := o.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is removed twice: %v", name, err)
		}
	}
	entries, err := o.List("/d")
	if err != nil || len(entries) != 3 || entries[0].Name != "a" || entries[0].Size != 7 || entries[1].Name != "e" || entries[2].Name != "new" {
		t.Errorf("have %v, %v", entries, err)
	}
	if !maps.EqualFunc(before, m.Files(), func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("below has changed: %v", m.Files())
	}
	lock, err := m.Open("/d/a", vfs.Lock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Open("/d/a", vfs.Lock); !errors.As(err, new(*vfs.LockedError)) {
		t.Errorf("a file that is locked below: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}
