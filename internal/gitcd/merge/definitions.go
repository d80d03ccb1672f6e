// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"context"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// mostDefinitions is how many definitions of custom resources are remembered.
// One takes some 10 KiB, that of a large provider 50.
const mostDefinitions = 64

// definitions remembers the schemas of custom resources by the blobs of their
// definitions; nil is that of what is no definition.
type definitions map[gitobj.ID]*schema.Custom

// read returns the schema in a definition.
func (d definitions) read(id gitobj.ID, content func() ([]byte, error)) (*schema.Custom, error) {
	if s, ok := d[id]; ok {
		return s, nil
	}
	data, err := content()
	if err != nil {
		return nil, err
	}
	s, err := schema.NewCustom(data)
	if err != nil {
		s = nil // encrypted, foreign or broken: nothing is known of the resource, on all branches alike
	}
	if len(d) >= mostDefinitions {
		clear(d)
	}
	d[id] = s
	return s, nil
}

// schemas finds the schema of each key of one merge. A custom resource has that
// of its definition in the same trees, as the merge leaves it: both places
// that merge two branches use the same one.
type schemas struct {
	r                  Reader
	base, ours, theirs gitobj.ID // trees
	policy             Policy
	found              map[string]schema.Schema // by the key of the definition
}

func newSchemas(r Reader, base, ours, theirs gitobj.ID, p Policy) *schemas {
	p = p.withDefaults()
	if p.definitions == nil {
		p.definitions = definitions{}
	}
	return &schemas{r: r, base: base, ours: ours, theirs: theirs, policy: p, found: make(map[string]schema.Schema)}
}

// policyFor returns the policy with the schema for a key.
func (s *schemas) policyFor(ctx context.Context, key string) (Policy, error) {
	p := s.policy
	name, ok := definitionKey(key)
	if !ok {
		return p, nil
	}
	found, ok := s.found[name]
	if !ok {
		custom, err := s.definition(ctx, name)
		if err != nil {
			return Policy{}, fmt.Errorf("find the schema of key %q: %w", key, err)
		}
		if custom != nil {
			found = schema.Layers{p.Schema, custom}
		}
		s.found[name] = found
	}
	if found != nil {
		p.Schema = found
	}
	return p, nil
}

// definitionKey returns the key of the definition of a custom resource. Keys of
// custom resources, and of next to nothing else, name their group:
// /registry/<group>/<plural>/...
func definitionKey(key string) (string, bool) {
	parts := strings.Split(key, "/")
	if len(parts) < 5 || parts[0] != "" || !strings.Contains(parts[2], ".") {
		return "", false
	}
	return "/" + parts[1] + "/apiextensions.k8s.io/customresourcedefinitions/" + parts[3] + "." + parts[2], true
}

// definition returns the schema in a definition as the merge leaves it, nil if there is none.
func (s *schemas) definition(ctx context.Context, key string) (*schema.Custom, error) {
	d := KeyDiff{Key: key}
	for _, side := range []struct {
		tree gitobj.ID
		blob *gitobj.ID
	}{{s.base, &d.Base}, {s.ours, &d.Ours}, {s.theirs, &d.Theirs}} {
		if side.tree.IsZero() {
			continue
		}
		blob, ok, err := treeedit.Lookup(ctx, s.r, side.tree, key)
		if err != nil {
			return nil, fmt.Errorf("look up key %q: %w", key, err)
		}
		if ok {
			*side.blob = blob
		}
	}
	left := d.Ours
	switch {
	case d.Ours == d.Theirs, d.Theirs == d.Base:
	case d.Ours == d.Base:
		left = d.Theirs
	default:
		result, err := mergeBlobs(s.r, d, s.policy)
		if err != nil {
			return nil, err
		}
		c := result.change(Change{Key: key, Base: d.Base, Ours: d.Ours, Theirs: d.Theirs})
		if c.Delete {
			return nil, nil
		}
		return s.policy.definitions.read(c.Blob, func() ([]byte, error) { return c.Content(s.r) })
	}
	if left.IsZero() {
		return nil, nil
	}
	return s.policy.definitions.read(left, func() ([]byte, error) { return readValue(s.r, key, left) })
}
