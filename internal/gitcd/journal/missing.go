// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Missing returns why an object is not found that somebody has named: an index
// is damaged, or it is gone. It reads all indexes: damage is rare.
func (j *Journal) Missing(id gitobj.ID) error {
	j.mu.RLock()
	packs := slices.Concat(j.mu.packs, j.mu.superseded)
	j.mu.RUnlock()
	for _, p := range packs {
		if _, err := p.Index.Verify(); err != nil {
			name := strings.TrimSuffix(p.name, ".pack") + ".idx"
			return &Error{
				Op: "read", File: name, Offset: -1, Err: fmt.Errorf("object %s is not found, and the index is damaged: %w: %w", id, err, ErrCorrupt),
				Hint: "stop gitcd, remove the file, run `git index-pack " + p.name + "`, and start gitcd again",
			}
		}
	}
	return &Error{
		Op: "read", File: path.Join(j.dir, packDir), Offset: -1, Err: fmt.Errorf("object %s: %w", id, ErrNotFound),
		Hint: "if it was not to be fetched, it is lost: stop gitcd and run `gitcd verify`",
	}
}
