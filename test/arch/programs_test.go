// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	asked   = regexp.MustCompile(`testbin\.(?:Path|Dir)\(t((?:, "[^"]+")+)\)`)
	started = regexp.MustCompile(`testbin\.Start\(t(, "[^"]+")`)
	built   = regexp.MustCompile(`(?m)^build-test:.*\n\t@hack/build\.sh (.*)$`)
)

// TestProgramsAreBuilt holds that `make build-test` builds each program that a
// test of `make test` asks for: a machine that has built more hides what is missing.
func TestProgramsAreBuilt(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	line := built.FindStringSubmatch(string(makefile))
	if line == nil {
		t.Fatal("the Makefile has no build-test that calls hack/build.sh")
	}
	have, found := strings.Fields(line[1]), 0
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(text), "\n//go:build ") {
			return err
		}
		for _, call := range slices.Concat(asked.FindAllStringSubmatch(string(text), -1), started.FindAllStringSubmatch(string(text), -1)) {
			for _, name := range strings.FieldsFunc(call[1], func(r rune) bool { return strings.ContainsRune(`," `, r) }) {
				found++
				if !slices.Contains(have, name) {
					t.Errorf("%s runs %s, which make build-test does not build: name it in the Makefile", path, name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no test asks for a program: the pattern does not fit testbin any more")
	}
}
