// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

// caBundle is where Go programs look for the certificates they trust.
const caBundle = "/etc/ssl/certs/ca-certificates.crt"

// entry is one file, directory or link of a layer.
type entry struct {
	path    string // absolute
	mode    fs.FileMode
	content []byte
	link    string
}

// layerOf makes a layer that holds these entries and their parent directories.
func layerOf(entries []entry) (v1.Layer, error) {
	all := map[string]entry{}
	for _, e := range entries {
		for dir := filepath.Dir(e.path); dir != "/"; dir = filepath.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = entry{path: dir, mode: fs.ModeDir | 0o755}
			}
		}
		all[e.path] = e
	}
	paths := make([]string, 0, len(all))
	for p := range all {
		paths = append(paths, p)
	}
	slices.Sort(paths) // parents sort before what is in them
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range paths {
		if err := writeEntry(w, all[p]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("end layer: %w", err)
	}
	return static.NewLayer(b.Bytes(), types.OCIUncompressedLayer), nil
}

// writeEntry writes one entry without time and owner.
func writeEntry(w *tar.Writer, e entry) error {
	h := &tar.Header{Name: strings.TrimPrefix(e.path, "/"), Mode: int64(e.mode.Perm()), Format: tar.FormatPAX}
	if e.mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	switch {
	case e.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
	case e.mode.IsDir():
		h.Typeflag = tar.TypeDir
		h.Name += "/"
	default:
		h.Typeflag, h.Size = tar.TypeReg, int64(len(e.content))
	}
	if err := w.WriteHeader(h); err != nil {
		return fmt.Errorf("write layer entry %s: %w", e.path, err)
	}
	if _, err := w.Write(e.content); err != nil {
		return fmt.Errorf("write layer entry %s: %w", e.path, err)
	}
	return nil
}

// rootfs is the layer that all images share: who may run, a place to write, and
// the certificates that this machine trusts.
func rootfs() (v1.Layer, error) {
	bundle, err := os.ReadFile(caBundle)
	if err != nil {
		return nil, fmt.Errorf("read trusted certificates (apt-get install -y ca-certificates): %w", err)
	}
	return layerOf([]entry{
		{path: "/etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{path: "/etc/group", mode: 0o644, content: []byte("root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n")},
		{path: caBundle, mode: 0o644, content: bundle},
		{path: "/root", mode: fs.ModeDir | 0o700},
		{path: "/run", mode: fs.ModeDir | 0o755},
		{path: "/tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{path: "/var/tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777},
	})
}

// program is the layer of the image's own binary.
func program(im Image, binary string) (v1.Layer, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read binary of %s: %w", im.Ref, err)
	}
	entries := []entry{{path: im.Path, mode: 0o755, content: content}}
	for _, l := range im.Links {
		entries = append(entries, entry{path: l, link: im.Path})
	}
	return layerOf(entries)
}

// borrowed is the layer of the machine's files that an image needs.
func borrowed(ctx context.Context, im Image) (v1.Layer, error) {
	paths, err := closure(ctx, im.Borrows)
	if err != nil {
		return nil, fmt.Errorf("find what %s borrows from the machine: %w", im.Ref, err)
	}
	entries := make([]entry, 0, len(paths))
	for _, p := range paths {
		info, err := os.Lstat(p)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", p, err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := filepath.EvalSymlinks(p)
			if err != nil {
				return nil, fmt.Errorf("follow %s: %w", p, err)
			}
			entries = append(entries, entry{path: p, link: target})
			continue
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
		entries = append(entries, entry{path: p, mode: info.Mode().Perm(), content: content})
	}
	return layerOf(entries)
}

// closure expands patterns and adds link targets and shared libraries.
func closure(ctx context.Context, patterns []string) ([]string, error) {
	var queue []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("expand %s: %w", p, err)
		}
		queue = append(queue, found...)
	}
	seen := map[string]bool{}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		target, err := filepath.EvalSymlinks(p)
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", p, err)
		}
		if target != p {
			queue = append(queue, target)
			continue
		}
		out, err := command.Run(ctx, "ldd", p)
		if err != nil {
			continue // a script, or a static binary: it needs no libraries
		}
		queue = append(queue, libraries(out)...)
	}
	paths := make([]string, 0, len(seen))
	for p := range seen {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

// libraries reads the paths out of ldd's output.
func libraries(out string) []string {
	var libs []string
	for line := range strings.Lines(out) {
		for f := range strings.FieldsSeq(line) {
			if strings.HasPrefix(f, "/") {
				libs = append(libs, f)
			}
		}
	}
	return libs
}
