// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build makes the binaries: ours, and from their published Go modules
// those that a sandbox runs unmodified.
//
//	build/*/go.mod ─► go build ─► bin/NAME, bin/.stamps/NAME
//	cert-manager's module ─► bin/manifests/cert-manager-crds.yaml
//
// # Laws
//
//  1. A pinned target is a function of its module's go.mod and go.sum, its flags
//     and the Go version; with the same stamp it is not looked at again.
//  2. Ours are always given to go build, which knows what has changed.
//  3. A binary appears whole or not at all, also when the build is interrupted.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/addons"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// Options place a build.
type Options struct {
	// Root is the checkout.
	Root string
	// BinDir is where binaries go.
	BinDir string
	Tell   *narrate.Narrator
}

// All makes the named targets, or all of them, and collects the manifests.
func All(ctx context.Context, o Options, names ...string) error {
	if err := os.MkdirAll(filepath.Join(o.BinDir, ".stamps"), 0o755); err != nil { //nolint:gosec // binaries are for all
		return fmt.Errorf("create directory of binaries: %w", err)
	}
	goVersion, err := command.Run(ctx, "go", "env", "GOVERSION")
	if err != nil {
		return narrate.Mend(fmt.Errorf("find Go: %w", err), "install Go 1.26 and put it into PATH")
	}
	targets, err := choose(names)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := one(ctx, o, t, strings.TrimSpace(goVersion)); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return nil
	}
	return collect(ctx, o)
}

// ErrUnknown is returned for a name that no target has.
var ErrUnknown = errors.New("no such binary")

func choose(names []string) ([]Target, error) {
	if len(names) == 0 {
		return Targets, nil
	}
	var chosen []Target
	all := append(append(slices.Clone(Targets), Linter), Peers...)
	for _, n := range names {
		i := slices.IndexFunc(all, func(t Target) bool { return t.Name == n })
		if i < 0 {
			return nil, fmt.Errorf("build %s: %w", n, ErrUnknown)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// one makes one target.
func one(ctx context.Context, o Options, t Target, goVersion string) error {
	out := filepath.Join(o.BinDir, t.Name)
	stampFile := filepath.Join(o.BinDir, ".stamps", t.Name)
	stamp, err := stampOf(o, t, goVersion)
	if err != nil {
		return err
	}
	if t.Pinned && isStamped(out, stampFile, stamp) {
		return nil
	}
	return o.Tell.Do(ctx, "build "+t.Name, "", func(ctx context.Context) error {
		if err := compile(ctx, o, t, out); err != nil {
			return err
		}
		if err := os.WriteFile(stampFile, []byte(stamp), 0o644); err != nil { //nolint:gosec // no secret
			return fmt.Errorf("write stamp: %w", err)
		}
		return nil
	})
}

// compile runs go build. It gives go build the binary's own name, so that an
// up-to-date binary is not linked again; go build replaces it whole.
func compile(ctx context.Context, o Options, t Target, out string) error {
	env := append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if t.CGO {
		env = append(env, "CGO_ENABLED=1")
	}
	args := []string{"nice", "-n", "5", "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", t.ldflags(), "-tags", t.Tags, "-o", out}
	if t.Profile != "" {
		args = append(args, "-pgo", t.Profile)
	}
	_, err := command.RunWith(ctx, command.Options{Dir: filepath.Join(o.Root, t.Module), Env: env}, append(args, t.Package)...)
	if err != nil {
		return narrate.Mend(fmt.Errorf("build %s: %w", t.Name, err), "see the compiler's words above; a download that failed can be repeated")
	}
	return nil
}

// stampOf is a digest of all that a pinned target is made of.
func stampOf(o Options, t Target, goVersion string) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, goVersion, t.Package, t.ldflags()+t.Tags) // a hash does not fail
	for _, f := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(o.Root, t.Module, f))
		if err != nil {
			return "", narrate.Mend(fmt.Errorf("read module of %s: %w", t.Name, err), "run it in the checkout, or name the checkout with --root")
		}
		_, _ = h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isStamped(out, stampFile, stamp string) bool {
	if _, err := os.Stat(out); err != nil {
		return false
	}
	have, err := os.ReadFile(stampFile)
	return err == nil && string(have) == stamp
}

// collect takes cert-manager's CRDs out of its module.
func collect(ctx context.Context, o Options) error {
	dir := filepath.Join(o.BinDir, "manifests")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // no secrets
		return fmt.Errorf("create directory of manifests: %w", err)
	}
	module, err := command.RunWith(ctx, command.Options{Dir: filepath.Join(o.Root, "build/certmanager")},
		"go", "list", "-mod=mod", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	if err != nil {
		return fmt.Errorf("find cert-manager's module: %w", err)
	}
	var all bytes.Buffer
	crds := os.DirFS(filepath.Join(strings.TrimSpace(module), "deploy", "crds"))
	paths, err := fs.Glob(crds, "*.yaml")
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("find cert-manager's CRDs below %s: %w", strings.TrimSpace(module), errors.Join(err, fs.ErrNotExist))
	}
	for _, p := range paths {
		b, err := fs.ReadFile(crds, p)
		if err != nil {
			return fmt.Errorf("read cert-manager's CRDs: %w", err)
		}
		all.WriteString("---\n")
		all.Write(b)
	}
	file := filepath.Join(dir, addons.CertManagerCRDs)
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, all.Bytes()) {
		return nil
	}
	if err := os.WriteFile(file, all.Bytes(), 0o644); err != nil { //nolint:gosec // no secrets
		return fmt.Errorf("write cert-manager's CRDs: %w", err)
	}
	return nil
}
