// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestParseMounts(t *testing.T) {
	for name, c := range map[string]struct {
		mounts string
		want   []string
	}{
		"version 2": {"cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", []string{"/sys/fs/cgroup"}},
		"hybrid": {
			"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			[]string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"},
		},
		"elsewhere": {"cgroup2 /mnt/other cgroup2 rw 0 0\n", nil},
		"none":      {"proc /proc proc rw 0 0\n", nil},
	} {
		if got := parseMounts(c.mounts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestACPUSetInheritsWhatItLacks(t *testing.T) {
	parent := t.TempDir()
	child := filepath.Join(parent, "child")
	if err := os.Mkdir(child, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(parent, "cpuset.cpus"): "0-1\n", filepath.Join(parent, "cpuset.mems"): "0\n",
		filepath.Join(child, "cpuset.cpus"): "\n", filepath.Join(child, "cpuset.mems"): "1\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := inheritCPUSet(child); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpuset.cpus": "0-1\n", "cpuset.mems": "1\n"} {
		if b, err := os.ReadFile(filepath.Join(child, file)); err != nil || string(b) != want {
			t.Errorf("%s is %q (%v), want %q", file, b, err, want)
		}
	}
}

func TestGroupsAreListedParentsFirst(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{root, filepath.Join(root, "a"), filepath.Join(root, "a", "b")}
	if got := groups(root); !slices.Equal(got, want) {
		t.Errorf("groups = %v, want %v", got, want)
	}
	if got := groups(filepath.Join(root, "absent")); len(got) != 0 {
		t.Errorf("groups of nothing = %v", got)
	}
}
