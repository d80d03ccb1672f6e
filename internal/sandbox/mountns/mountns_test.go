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

func TestOnlyWhatWasMadeIsRemoved(t *testing.T) {
	c := sandbox.Config{StateDir: t.TempDir()}
	machine := t.TempDir()
	theirs := filepath.Join(machine, "theirs")
	ours := filepath.Join(machine, "ours", "deep")
	used := filepath.Join(machine, "used")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{theirs, ours, used} {
		if err := makePoint(c, dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(used, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it can be repeated
		if err := RemovePoints(c); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{theirs: true, used: true, filepath.Dir(ours): false} {
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
