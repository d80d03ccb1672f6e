// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

func house(t *testing.T, binaries ...string) sandbox.Config {
	t.Helper()
	c := sandbox.Config{BinDir: t.TempDir()}
	for _, b := range binaries {
		if err := os.WriteFile(c.Bin(b), []byte("program "+b), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func pauseOnly(t *testing.T) []Image {
	t.Helper()
	list, err := Select("pause")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestEqualInputsMakeEqualBytes(t *testing.T) {
	var sums []string
	for range 2 {
		made, err := Build(t.Context(), house(t, "pause"), pauseOnly(t))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(made[0].File)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		sums = append(sums, hex.EncodeToString(sum[:])+made[0].Digest)
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds of the same differ: %v", sums)
	}
}

func TestWhatHasNotChangedIsNotMadeAgain(t *testing.T) {
	c := house(t, "pause")
	first, err := Build(t.Context(), c, pauseOnly(t))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build(t.Context(), c, pauseOnly(t))
	if err != nil {
		t.Fatal(err)
	}
	if !first[0].Fresh || again[0].Fresh {
		t.Errorf("made first: %v, made again: %v; want true, false", first[0].Fresh, again[0].Fresh)
	}
	if err := os.WriteFile(c.Bin("pause"), []byte("another program"), 0o755); err != nil {
		t.Fatal(err)
	}
	changed, err := Build(t.Context(), c, pauseOnly(t))
	if err != nil {
		t.Fatal(err)
	}
	if !changed[0].Fresh || changed[0].Digest == first[0].Digest {
		t.Errorf("a changed program makes %+v, was %+v", changed[0], first[0])
	}
	if !sameFile(changed[0].File, filepath.Join(WorkerDir(c), filepath.Base(changed[0].File))) {
		t.Error("workers are lent an older archive")
	}
}

func TestAMissingBinaryIsToldBesideTheOthers(t *testing.T) {
	list, err := Select("pause", "gitcd")
	if err != nil {
		t.Fatal(err)
	}
	made, err := Build(t.Context(), house(t, "pause"), list)
	var missing *MissingBinaryError
	if !errors.As(err, &missing) || missing.Ref != sandbox.ImageGitcd {
		t.Errorf("error %v, want that gitcd is missing", err)
	}
	if len(made) != 1 || made[0].Ref != sandbox.ImagePause {
		t.Errorf("made %+v, want pause alone", made)
	}
}

func TestSelectKnowsNamesAndBinaries(t *testing.T) {
	list, err := Select(sandbox.ImageCoreDNS, "agnhost")
	if err != nil || len(list) != 2 || list[1].Ref != sandbox.ImageAgnhost {
		t.Errorf("Select = %+v, %v", list, err)
	}
	if _, err := Select("nginx"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown image: %v, want ErrUnknown", err)
	}
}

// layout reads an archive: name -> content.
func layout(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all := map[string][]byte{}
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheArchiveIsAnOCILayout(t *testing.T) {
	made, err := Build(t.Context(), house(t, "pause"), pauseOnly(t))
	if err != nil {
		t.Fatal(err)
	}
	files := layout(t, made[0].File)
	for name, content := range files {
		want, isBlob := strings.CutPrefix(name, "blobs/sha256/")
		if sum := sha256.Sum256(content); isBlob && hex.EncodeToString(sum[:]) != want {
			t.Errorf("blob %s does not have its digest", name)
		}
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Digest.String() != made[0].Digest || index.Manifests[0].Annotations[nameAnnotation] != sandbox.ImagePause {
		t.Fatalf("index %+v", index)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(files["blobs/sha256/"+index.Manifests[0].Digest.Hex], &manifest); err != nil {
		t.Fatal(err)
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(files["blobs/sha256/"+manifest.Config.Digest.Hex], &config); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/pause"}) || len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		t.Errorf("configuration %+v", config)
	}
	if !config.Created.IsZero() {
		t.Errorf("the image was created at %v: it must not know when", config.Created)
	}
}

func TestLayersHoldParentsBeforeWhatIsInThem(t *testing.T) {
	layer, err := layerOf([]entry{{path: "/usr/local/bin/x", mode: 0o755, content: []byte("x")}, {path: "/x", link: "/usr/local/bin/x"}})
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	r := tar.NewReader(content)
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		if h.Uid != 0 || !h.ModTime.IsZero() && h.ModTime.Unix() != 0 {
			t.Errorf("%s has an owner or a time", h.Name)
		}
		names = append(names, h.Name)
	}
	if want := []string{"usr/", "usr/local/", "usr/local/bin/", "usr/local/bin/x", "x"}; !slices.Equal(names, want) {
		t.Errorf("entries %v, want %v", names, want)
	}
}

func TestParseList(t *testing.T) {
	out := `REF                       TYPE                                       DIGEST        SIZE  PLATFORMS LABELS
registry.k8s.io/pause:3.10 application/vnd.oci.image.manifest.v1+json sha256:3cf1bb 1.4 MiB linux/amd64 io.cri-containerd.image=managed
`
	if got := parseList(out); len(got) != 1 || got["registry.k8s.io/pause:3.10"] != "sha256:3cf1bb" {
		t.Errorf("parseList = %v", got)
	}
}

func TestLibrariesOfLdd(t *testing.T) {
	out := "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
	want := []string{"/lib/x86_64-linux-gnu/libmnl.so.0", "/lib64/ld-linux-x86-64.so.2"}
	if got := libraries(out); !slices.Equal(got, want) {
		t.Errorf("libraries = %v, want %v", got, want)
	}
}
