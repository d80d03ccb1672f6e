// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit

import (
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Lookup returns the blob of one key, and whether the key is there.
func Lookup(ctx context.Context, r Reader, root gitobj.ID, key string) (gitobj.ID, bool, error) {
	names := layout.Split(key)
	for i, name := range names {
		if ctx.Err() != nil {
			return gitobj.Zero, false, ctx.Err()
		}
		file, sub, err := forms(r, root, name)
		if literal := layout.Literal(name); err == nil && literal != "" && file.size == 0 && sub.size == 0 {
			file, sub, err = forms(r, root, literal)
		}
		if err != nil {
			return gitobj.Zero, false, fmt.Errorf("look up key %q: %w", key, err)
		}
		if last := i == len(names)-1; last && file.size > 0 && !file.strange() {
			return file.id, true, nil
		}
		if sub.size == 0 {
			return gitobj.Zero, false, nil
		}
		root = sub.id
	}
	value, _, err := forms(r, root, layout.Self)
	if err != nil {
		return gitobj.Zero, false, fmt.Errorf("look up key %q: %w", key, err)
	}
	return value.id, value.size > 0 && !value.strange(), nil
}

// forms looks for a name in a directory, as a file and as a directory.
func forms(r Reader, tree gitobj.ID, name string) (file, sub probe, err error) {
	data, err := readTree(r, tree)
	if err != nil {
		return file, sub, err
	}
	file, sub = probe{name: name}, probe{name: name, dir: true}
	return file, sub, find(data, []*probe{&file, &sub})
}
