// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTargetsHaveModules(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	names := map[string]bool{}
	for _, target := range append(append(slices.Clone(Targets), Linter), Peers...) {
		if names[target.Name] {
			t.Errorf("two targets are named %s", target.Name)
		}
		names[target.Name] = true
		if _, err := os.Stat(filepath.Join(root, target.Module, "go.mod")); err != nil {
			t.Errorf("%s has no module: %v", target.Name, err)
		}
	}
}

func TestChooseKnowsAllNames(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != len(Targets) {
		t.Errorf("choose() = %d targets, %v", len(all), err)
	}
	if some, err := choose([]string{"gitcd", Linter.Name}); err != nil || len(some) != 2 {
		t.Errorf("choose(gitcd, linter) = %v, %v", some, err)
	}
	if _, err := choose([]string{"none"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("choose(none): %v, want ErrUnknown", err)
	}
}

func TestAStampFollowsTheModule(t *testing.T) {
	o := Options{Root: t.TempDir(), BinDir: t.TempDir()}
	target := Target{Name: "x", Module: ".", Package: "p", Pinned: true}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module x")
	write("go.sum", "")
	stamp := func(v string) string {
		t.Helper()
		s, err := stampOf(o, target, v)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := stamp("go1.26.0")
	out, file := filepath.Join(o.BinDir, "x"), filepath.Join(o.BinDir, "stamp")
	write("x", "")
	if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if isStamped(out, file, first) {
		t.Error("a binary that is not there is stamped")
	}
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !isStamped(out, file, stamp("go1.26.0")) {
		t.Error("an unchanged module has another stamp")
	}
	if isStamped(out, file, stamp("go1.26.1")) {
		t.Error("another Go version has the same stamp")
	}
	write("go.sum", "changed")
	if isStamped(out, file, stamp("go1.26.0")) {
		t.Error("another go.sum has the same stamp")
	}
}
