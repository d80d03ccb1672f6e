// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/fingerprint"
)

// recipe is raised when the way images are made changes.
const recipe = "1"

// Archive is an image that was made.
type Archive struct {
	Ref string `json:"ref"`
	// File is where it lies.
	File string `json:"file"`
	// Digest is its manifest's.
	Digest string `json:"digest"`
	// Inputs says what it was made of.
	Inputs string `json:"inputs"`
	// Fresh says that this call made it.
	Fresh bool `json:"-"`
}

// MissingBinaryError says that an image cannot be made yet.
type MissingBinaryError struct{ Ref, Binary string }

func (e *MissingBinaryError) Error() string {
	return fmt.Sprintf("image %s needs %s, which is not there: run `make build`", e.Ref, e.Binary)
}

// Build makes the archives of images whose inputs have changed and returns all
// of them. Images whose binary is not there are told as MissingBinaryErrors,
// beside the others' archives.
func Build(ctx context.Context, c sandbox.Config, list []Image) ([]Archive, error) {
	if err := os.MkdirAll(c.Archives(), 0o755); err != nil { //nolint:gosec // archives hold no secrets
		return nil, fmt.Errorf("create directory of images: %w", err)
	}
	unlock, err := lockDir(c.Archives())
	if err != nil {
		return nil, err
	}
	defer unlock()
	index, err := readIndex(c)
	if err != nil {
		return nil, err
	}
	b := &builder{c: c, index: index}
	var made []Archive
	var missing []error
	for _, im := range list {
		a, err := b.image(ctx, im)
		if none, ok := errors.AsType[*MissingBinaryError](err); ok {
			missing = append(missing, none)
			continue
		}
		if err != nil {
			return nil, err
		}
		made = append(made, a)
	}
	return made, errors.Join(missing...)
}

// builder makes images and keeps the index.
type builder struct {
	c     sandbox.Config
	index map[string]Archive // reference -> archive
	base  v1.Layer           // made when it is first needed
}

// image returns an image's archive, made anew if its inputs have changed.
func (b *builder) image(ctx context.Context, im Image) (Archive, error) {
	inputs, err := inputsOf(b.c, im)
	if errors.Is(err, fs.ErrNotExist) {
		return Archive{}, &MissingBinaryError{Ref: im.Ref, Binary: b.c.Bin(im.Binary)}
	}
	if err != nil {
		return Archive{}, err
	}
	a, ok := b.index[im.Ref]
	if !ok || a.Inputs != inputs || !isFile(a.File) {
		if a, err = b.make(ctx, im, inputs); err != nil {
			return Archive{}, err
		}
		a.Fresh = true
	}
	return a, lend(b.c, im, a)
}

// make makes an image and notes it in the index.
func (b *builder) make(ctx context.Context, im Image, inputs string) (Archive, error) {
	var err error
	if b.base == nil {
		if b.base, err = rootfs(); err != nil {
			return Archive{}, err
		}
	}
	a, err := assemble(ctx, b.c, im, b.base, inputs)
	if err != nil {
		return Archive{}, err
	}
	b.index[im.Ref] = a
	return a, writeIndex(b.c, b.index)
}

// WorkerDir holds the archives of the images that workers run.
func WorkerDir(c sandbox.Config) string { return filepath.Join(c.Archives(), "worker") }

// lend links an archive that workers need into their directory.
func lend(c sandbox.Config, im Image, a Archive) error {
	link := filepath.Join(WorkerDir(c), filepath.Base(a.File))
	if !im.Worker || sameFile(link, a.File) {
		return nil
	}
	if err := os.MkdirAll(WorkerDir(c), 0o755); err != nil { //nolint:gosec // archives hold no secrets
		return fmt.Errorf("create directory of workers' images: %w", err)
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace a worker's image: %w", err)
	}
	if err := os.Link(a.File, link); err != nil {
		return fmt.Errorf("link a worker's image: %w", err)
	}
	return nil
}

func sameFile(a, b string) bool {
	left, err := os.Stat(a)
	if err != nil {
		return false
	}
	right, err := os.Stat(b)
	return err == nil && os.SameFile(left, right)
}

// assemble makes one image and writes its archive.
func assemble(ctx context.Context, c sandbox.Config, im Image, base v1.Layer, inputs string) (Archive, error) {
	own, err := program(im, c.Bin(im.Binary))
	if err != nil {
		return Archive{}, err
	}
	layers := []v1.Layer{base}
	if len(im.Borrows) > 0 {
		extra, err := borrowed(ctx, im)
		if err != nil {
			return Archive{}, err
		}
		layers = append(layers, extra)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.AppendLayers(img, append(layers, own)...); err != nil {
		return Archive{}, fmt.Errorf("assemble %s: %w", im.Ref, err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return Archive{}, fmt.Errorf("read configuration of %s: %w", im.Ref, err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", runtime.GOARCH
	cfg.Config = v1.Config{
		Entrypoint: []string{im.Path}, Cmd: im.Arguments, User: im.User, WorkingDir: "/",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		return Archive{}, fmt.Errorf("configure %s: %w", im.Ref, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return Archive{}, fmt.Errorf("digest %s: %w", im.Ref, err)
	}
	a := Archive{Ref: im.Ref, File: filepath.Join(c.Archives(), im.archiveName()), Digest: digest.String(), Inputs: inputs}
	return a, writeArchive(a.File, im.Ref, img)
}

// inputsOf describes what an image is made of, cheaply: fingerprints of files,
// and the recipe.
func inputsOf(c sandbox.Config, im Image) (string, error) {
	var s strings.Builder
	spec, err := json.Marshal(im)
	if err != nil {
		return "", fmt.Errorf("describe image: %w", err)
	}
	s.WriteString("recipe " + recipe + " " + string(spec))
	files := []string{c.Bin(im.Binary), caBundle}
	for _, p := range im.Borrows {
		found, err := filepath.Glob(p)
		if err != nil {
			return "", fmt.Errorf("expand %s: %w", p, err)
		}
		files = append(files, found...)
	}
	for _, f := range files {
		id, err := fingerprint.Of(f)
		if err != nil {
			return "", err
		}
		s.WriteString("; " + filepath.Base(f) + " " + id)
	}
	return s.String(), nil
}

func indexFile(c sandbox.Config) string { return filepath.Join(c.Archives(), "index.json") }

// readIndex returns the archives that were made: reference -> archive.
func readIndex(c sandbox.Config) (map[string]Archive, error) {
	index := map[string]Archive{}
	b, err := os.ReadFile(indexFile(c))
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read index of images: %w", err)
	}
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("parse %s (remove it to make all images anew): %w", indexFile(c), err)
	}
	return index, nil
}

func writeIndex(c sandbox.Config, index map[string]Archive) error {
	b, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return fmt.Errorf("encode index of images: %w", err)
	}
	next := indexFile(c) + ".next"
	if err := os.WriteFile(next, b, 0o644); err != nil { //nolint:gosec // no secrets
		return fmt.Errorf("write index of images: %w", err)
	}
	if err := os.Rename(next, indexFile(c)); err != nil {
		return fmt.Errorf("replace index of images: %w", err)
	}
	return nil
}

// lockDir lets one process at a time make images in a directory.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of images: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock images: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
