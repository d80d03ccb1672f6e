// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// modeGitlink is the mode of a commit of another repository, which need not be here.
const modeGitlink = 0o160000

// reachable checks J6's heart: what the refs reach is all there.
func (c *checker) reachable(refs map[string]gitobj.ID) error {
	j := &Journal{fs: c.fs, dir: c.dir, loose: c.loose}
	j.mu.packs, j.mu.segments = c.packs, c.segs
	seen := map[gitobj.ID]bool{}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		todo := []gitobj.ID{refs[name]}
		for len(todo) > 0 {
			id := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[id] || c.kinds[id] == gitobj.KindBlob {
				continue
			}
			seen[id] = true
			kind, data, err := j.get(id)
			if errors.Is(err, ErrNotFound) {
				c.report("J6", fmt.Sprintf("%s reaches %s, which is not there", name, id))
				continue
			}
			if err != nil {
				if err := c.damage("J9", err); err != nil {
					return err
				}
				continue
			}
			next, err := c.references(id, kind, data)
			if err != nil {
				c.report("J6", fmt.Sprintf("%s reaches %s %s: %v", name, kind, id, err))
				continue
			}
			todo = append(todo, next...)
		}
	}
	return nil
}

// references returns what an object names, and has to be there: of a commit where history ends its tree.
func (c *checker) references(id gitobj.ID, kind gitobj.Kind, data []byte) ([]gitobj.ID, error) {
	next, err := references(kind, data)
	if err == nil && c.shallow[id] {
		next = next[len(next)-1:]
	}
	return next, err
}

// references returns what an object names.
func references(kind gitobj.Kind, data []byte) ([]gitobj.ID, error) {
	switch kind {
	case gitobj.KindCommit:
		commit, err := gitobj.DecodeCommit(data)
		return append(commit.Parents, commit.Tree), err
	case gitobj.KindTree:
		tree, err := gitobj.DecodeTree(data)
		var out []gitobj.ID
		for _, e := range tree {
			if e.Mode != modeGitlink {
				out = append(out, e.ID)
			}
		}
		return out, err
	case gitobj.KindTag:
		line, _, _ := bytes.Cut(data, []byte("\n"))
		id, err := gitobj.ParseID(string(bytes.TrimPrefix(line, []byte("object "))))
		return []gitobj.ID{id}, err
	case gitobj.KindBlob:
		return nil, nil
	default:
		return nil, fmt.Errorf("kind %d is none", kind)
	}
}
