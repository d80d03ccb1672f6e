// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Waiting is a change of grain Batch that no commit has yet.
type Waiting struct {
	// Key is the one in the tree.
	Key string
	// Value is nil if the key is to go.
	Value []byte
}

// Waiting returns what clients wrote here that waits for company, in the order
// of the keys. What merges brought, or was put aside, is not among it.
func (s *Store) Waiting(ctx context.Context) ([]Waiting, error) {
	if s.committer == nil {
		return nil, nil
	}
	t := &waitingTask{waiter: newWaiter(), reached: make(chan error, 1)}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return nil, err
	}
	select {
	case err := <-t.reached:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := make([]Waiting, 0, len(t.keys))
	for _, f := range t.keys {
		w := Waiting{Key: f.key}
		if f.ver != nil {
			var err error
			if w.Value, err = s.vals.load(f.ver); err != nil {
				return nil, fmt.Errorf("key %q at revision %d: %w", f.key, f.ver.mod, err)
			}
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b Waiting) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// waitingTask asks the committer what it has noted.
type waitingTask struct {
	waiter
	keys    []found // by their keys in the tree; ver is nil if the key is to go
	reached chan error
}

func (t *waitingTask) perform(l *line, b *batch) {
	at := l.state.copy()
	b.full = true
	b.tokens = append(b.tokens, token{
		reach: func(c *committer, _ *batch) error {
			for tree, d := range c.dirty {
				key, served := c.store.keyOf(tree)
				if !served || c.store.o.Grains.Of(key) != layout.Batch {
					continue
				}
				f := found{key: tree}
				if d.verb != deleted {
					if f.ver = at.get(key); f.ver == nil || f.ver.aside {
						continue
					}
				}
				t.keys = append(t.keys, f)
			}
			t.reached <- nil
			return nil
		},
		fail: func(err error) { t.reached <- err },
	})
}

// Aside changes the values of keys of the tree in the store alone: the tree
// keeps what it has until a client writes the key or a merge changes it. change
// is asked for each key that exists. Each that it changes gets a revision of its
// own; one that somebody writes meanwhile is asked for again. It returns how many were changed.
func (s *Store) Aside(ctx context.Context, keys []string, change func(key string, value []byte) ([]byte, bool)) (changed int, err error) {
	for len(keys) > 0 {
		t, err := s.tryAside(ctx, keys, change)
		if err != nil {
			return changed, err
		}
		changed, keys = changed+t.changed, t.stale
	}
	return changed, nil
}

func (s *Store) tryAside(ctx context.Context, keys []string, change func(key string, value []byte) ([]byte, bool)) (*asideTask, error) {
	t := &asideTask{waiter: newWaiter()}
	for _, tree := range keys {
		key, served := s.keyOf(tree)
		if !served {
			continue
		}
		was := s.current.Load().get(key)
		if was == nil {
			continue
		}
		value, err := s.vals.load(was)
		if err != nil {
			return t, fmt.Errorf("key %q at revision %d: %w", key, was.mod, err)
		}
		if next, ok := change(tree, value); ok {
			content := layout.Blob(next)
			t.puts = append(t.puts, asidePut{tree: tree, key: key, expect: was.mod, value: next, content: content, blob: gitobj.Hash(gitobj.KindBlob, content)})
		}
	}
	if len(t.puts) == 0 {
		return t, nil
	}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return t, err
	}
	return t, t.err
}

type asidePut struct {
	tree, key      string
	expect         int64
	value, content []byte
	blob           gitobj.ID
}

type asideTask struct {
	waiter
	puts    []asidePut
	changed int
	stale   []string // keys of the tree that were written meanwhile
	err     error
}

func (t *asideTask) perform(l *line, b *batch) {
	var cost int64
	for _, p := range t.puts {
		cost += putOverhead + int64(len(p.key)+len(p.value))
	}
	if t.err = l.admit(b, cost); t.err != nil {
		return
	}
	for _, p := range t.puts {
		was := l.state.get(p.key)
		if modOf(was) != p.expect {
			t.stale = append(t.stale, p.tree)
			continue
		}
		c := l.begin(b)
		c.aside = true
		c.put(p.key, p.value, p.blob, p.content, was.lease)
		c.end()
		t.changed++
	}
}
