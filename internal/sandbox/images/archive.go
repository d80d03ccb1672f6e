// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nameAnnotation tells containerd what to call an imported image.
const nameAnnotation = "io.containerd.image.name"

// writeArchive writes an image as an OCI layout in a tar file, whole or not at all.
func writeArchive(file, ref string, img v1.Image) error {
	next := file + ".next"
	f, err := os.Create(next)
	if err != nil {
		return fmt.Errorf("create image archive: %w", err)
	}
	w := &layoutWriter{w: tar.NewWriter(f), written: map[v1.Hash]bool{}}
	err = w.write(ref, img)
	if err = errors.Join(err, w.w.Close(), f.Close()); err != nil {
		return fmt.Errorf("write image archive %s: %w", file, err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("replace image archive: %w", err)
	}
	return nil
}

// layoutWriter writes the files of an OCI layout.
type layoutWriter struct {
	w       *tar.Writer
	written map[v1.Hash]bool
}

func (l *layoutWriter) write(ref string, img v1.Image) error {
	if err := l.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, layer := range layers {
		if err := l.layer(layer); err != nil {
			return err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	name, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("digest configuration: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("digest manifest: %w", err)
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: types.OCIManifestSchema1, Size: int64(len(manifest)), Digest: digest,
			Annotations: map[string]string{nameAnnotation: ref},
		}},
	})
	if err != nil {
		return fmt.Errorf("encode index: %w", err)
	}
	return errors.Join(l.file(blob(name), config), l.file(blob(digest), manifest), l.file("index.json", index))
}

// layer writes a layer's blob once.
func (l *layoutWriter) layer(layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil {
		return fmt.Errorf("digest layer: %w", err)
	}
	if l.written[digest] {
		return nil
	}
	l.written[digest] = true
	content, err := layer.Compressed()
	if err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	b, err := io.ReadAll(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	return l.file(blob(digest), b)
}

func (l *layoutWriter) file(name string, content []byte) error {
	h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := l.w.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(l.w, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
