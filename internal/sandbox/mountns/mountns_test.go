// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mountns

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

func TestTheMachinesOwnMountsAreNotTouched(t *testing.T) {
	own, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range []string{own, ""} {
		if err := Enter(sandbox.Config{StateDir: t.TempDir()}, machine); err == nil {
			t.Errorf("Enter mounts in the machine's own namespace (told %q)", machine)
		}
	}
}

func TestOnlyWhatWasMadeAndIsUnusedIsRemoved(t *testing.T) {
	machine := t.TempDir()
	theirs, ours := filepath.Join(machine, "theirs"), filepath.Join(machine, "ours")
	filled, mounted := filepath.Join(machine, "filled"), filepath.Join(machine, "mounted")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{theirs, ours, filled, mounted} {
		for range 2 { // it can be repeated
			if err := makePoint(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(filled, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{theirs, ours, filled, mounted, ours} {
		if err := removePoint(dir, dir == mounted); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{theirs: true, filled: true, mounted: true, ours: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}

func TestMountsAreListedDeepestFirst(t *testing.T) {
	all, err := Mounts("/")
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		for j := range i {
			if len(all[j]) < len(all[i]) && filepath.Dir(all[i]) == all[j] {
				t.Errorf("%s comes before what is mounted in it, %s", all[j], all[i])
			}
		}
	}
}
