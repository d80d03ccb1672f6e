// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package vfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"syscall"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// both runs a test on the real disk and on the one in memory.
func both(t *testing.T, test func(t *testing.T, fsys vfs.FS, dir string)) {
	t.Helper()
	t.Run("os", func(t *testing.T) { test(t, vfs.OS{}, t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := &vfs.Mem{}
		if err := m.MakeDir("/d"); err != nil {
			t.Fatal(err)
		}
		test(t, m, "/d")
	})
}

func write(t *testing.T, fsys vfs.FS, name, content string) vfs.File {
	t.Helper()
	f, err := fsys.Open(name, vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSame(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		at := func(name string) string { return path.Join(dir, name) }
		if _, err := fsys.Open(at("none"), vfs.Read); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open: %v", err)
		}
		if _, err := fsys.List(at("none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list: %v", err)
		}
		if err := fsys.Remove(at("none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove: %v", err)
		}
		if err := fsys.MakeDir(at("a/b")); err != nil {
			t.Fatal(err)
		}
		f := write(t, fsys, at("a/x"), "hello")
		if err := f.Truncate(7); err != nil {
			t.Fatal(err)
		}
		if got, err := vfs.ReadFile(fsys, at("a/x")); err != nil || string(got) != "hello\x00\x00" {
			t.Errorf("have %q, %v", got, err)
		}
		if _, err := fsys.Open(at("a/x"), vfs.Create); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create: %v", err)
		}
		for range 2 {
			if err := vfs.WriteFile(fsys, at("a/y"), []byte("new"), true); err != nil {
				t.Fatal(err)
			}
		}
		if err := fsys.Rename(at("a/y"), at("a/x")); err != nil {
			t.Fatal(err)
		}
		if got, err := vfs.ReadFile(fsys, at("a/x")); err != nil || string(got) != "new" {
			t.Errorf("have %q, %v", got, err)
		}
		entries, err := fsys.List(at("a"))
		if err != nil || len(entries) != 2 || entries[0] != (vfs.Entry{Name: "b", Dir: true, Size: entries[0].Size}) || entries[1] != (vfs.Entry{Name: "x", Size: 3}) {
			t.Errorf("have %v, %v", entries, err)
		}
		if found, err := vfs.Exists(fsys, at("a/x")); err != nil || !found {
			t.Error(found, err)
		}
		if err := errors.Join(f.Close(), fsys.Remove(at("a/x"))); err != nil {
			t.Error(err)
		}
	})
}

func TestV4OneHolder(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS, dir string) {
		t.Helper()
		f, err := fsys.Open(path.Join(dir, "lock"), vfs.Lock)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("pid 7\n"), 0); err != nil {
			t.Fatal(err)
		}
		var locked *vfs.LockedError
		if _, err := fsys.Open(path.Join(dir, "lock"), vfs.Lock); !errors.As(err, &locked) || locked.Holder != "pid 7" {
			t.Errorf("have %v", err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := fsys.Open(path.Join(dir, "lock"), vfs.Lock); err != nil {
			t.Error(err)
		}
	})
}

func TestV1V2Crash(t *testing.T) {
	m := &vfs.Mem{}
	f := write(t, m, "/a", "synced")
	if err := errors.Join(f.Sync(), m.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte("x"), 4096), 0); err != nil {
		t.Fatal(err)
	}
	write(t, m, "/b", "b")
	if err := m.Rename("/a", "/c"); err != nil {
		t.Fatal(err)
	}
	if got := m.CrashClone(vfs.Kill, nil).Files(); len(got) != 2 || len(got["/c"]) != 4096 {
		t.Errorf("kill leaves %v", got)
	}
	if got := m.CrashClone(vfs.Kill, nil).CrashClone(vfs.DropUnsynced, nil).Files(); len(got) != 1 || string(got["/a"]) != "synced" {
		t.Errorf("a kill made durable what was not: a power cut after it leaves %v", got)
	}
	if got := m.CrashClone(vfs.DropUnsynced, nil).Files(); len(got) != 1 || string(got["/a"]) != "synced" {
		t.Errorf("a power cut leaves %v", got)
	}
	random := rand.New(rand.NewPCG(1, 1))
	old, moved, torn := 0, 0, 0
	for range 200 {
		got := m.CrashClone(vfs.Tear, random).Files()
		data, ok := got["/a"]
		if ok {
			old++
		} else if data, ok = got["/c"]; ok {
			moved++
		}
		if n := bytes.Count(data, []byte("x")); n > 0 && n < 4096 {
			torn++
		}
	}
	if old == 0 || moved == 0 || old+moved != 200 || torn == 0 {
		t.Errorf("old name %d, new name %d, torn %d", old, moved, torn)
	}
	garbled := 0
	for range 50 {
		for _, data := range m.CrashClone(vfs.Garble, random).Files() {
			garbled += len(bytes.Trim(data, "x\x00bsynced"))
		}
	}
	if garbled == 0 {
		t.Error("nothing is garbled")
	}
}

func TestHook(t *testing.T) {
	m := &vfs.Mem{}
	f := write(t, m, "/a", "0123456789")
	m.SetHook(func(op vfs.Op) error {
		switch op.Kind {
		case vfs.OpWrite:
			return &vfs.ShortError{N: 3, Err: syscall.ENOSPC}
		case vfs.OpSync:
			return syscall.EIO
		default:
			return nil
		}
	})
	if n, err := f.WriteAt([]byte("abcdef"), 0); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("have %d, %v", n, err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("have %v", err)
	}
	if got := m.Files()["/a"]; string(got) != "abc3456789" {
		t.Errorf("have %q", got)
	}
}
