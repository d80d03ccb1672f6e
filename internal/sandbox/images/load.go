// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

// Target is the containerd that images are brought into.
type Target struct {
	// Address is its socket.
	Address string
	// Namespace is containerd's own; the kubelet's images are in "k8s.io", which is the default.
	Namespace string
}

// Loaded says what Load did with one image.
type Loaded struct {
	Ref      string `json:"ref"`
	Digest   string `json:"digest"`
	Imported bool   `json:"imported"` // false: it was there
}

// Load builds what has changed and imports what the target lacks. Without
// references it takes all images whose binaries are there.
func Load(ctx context.Context, c sandbox.Config, t Target, refs ...string) ([]Loaded, error) {
	list, err := Select(refs...)
	if err != nil {
		return nil, err
	}
	archives, missing := Build(ctx, c, list)
	if missing != nil && (len(refs) > 0 || len(archives) == 0) {
		return nil, missing
	}
	return Import(ctx, t, archives)
}

// Import brings archives into the target that it lacks.
func Import(ctx context.Context, t Target, archives []Archive) ([]Loaded, error) {
	if t.Namespace == "" {
		t.Namespace = "k8s.io"
	}
	ctr := []string{"ctr", "--address", t.Address, "--namespace", t.Namespace, "images"}
	out, err := command.Run(ctx, append(ctr, "list")...)
	if err != nil {
		return nil, fmt.Errorf("list images of %s: %w", t.Address, err)
	}
	have := parseList(out)
	done := make([]Loaded, 0, len(archives))
	for _, a := range archives {
		l := Loaded{Ref: a.Ref, Digest: a.Digest, Imported: have[a.Ref] != a.Digest}
		if l.Imported {
			if _, err := command.Run(ctx, append(ctr, "import", a.File)...); err != nil {
				return nil, fmt.Errorf("import image %s: %w", a.Ref, err)
			}
		}
		done = append(done, l)
	}
	return done, nil
}

// parseList reads `ctr images list`: reference -> digest.
func parseList(out string) map[string]string {
	have := map[string]string{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasPrefix(f[2], "sha256:") {
			have[f[0]] = f[2]
		}
	}
	return have
}
