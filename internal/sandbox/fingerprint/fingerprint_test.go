// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fingerprint

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// copyOf copies a file with a time of its own.
func copyOf(t *testing.T, from string, at time.Time) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(to, b, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(to, at, at); err != nil {
		t.Fatal(err)
	}
	return to
}

func of(t *testing.T, path string) string {
	t.Helper()
	f, err := Of(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAGoBinaryIsKnownByItsBuildID(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if buildID(self) == "" {
		t.Skip("this test binary was linked without a build id")
	}
	old := copyOf(t, self, time.Unix(1000, 0))
	young := copyOf(t, self, time.Unix(2000, 0))
	if of(t, old) != of(t, young) {
		t.Error("the same binary at another time has another fingerprint")
	}
}

func TestAnyOtherFileIsKnownBySizeAndTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, young := copyOf(t, file, time.Unix(1000, 0)), copyOf(t, file, time.Unix(2000, 0))
	if of(t, old) == of(t, young) {
		t.Error("a file that was written later has the same fingerprint")
	}
	if of(t, old) != of(t, copyOf(t, file, time.Unix(1000, 0))) {
		t.Error("two equal files have different fingerprints")
	}
	if _, err := Of(file + "-absent"); err == nil {
		t.Error("a file that is not there has a fingerprint")
	}
}
