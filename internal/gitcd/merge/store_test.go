// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"context"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// store is an object store in memory. All heavens of a test share it: what one
// may know is decided by the heads that it has.
type store struct {
	objects map[gitobj.ID]treeedit.Object
	reads   int
	watch   gitobj.ID // an object whose reads are counted
	watched int
}

func newStore() *store { return &store{objects: map[gitobj.ID]treeedit.Object{}} }

func (s *store) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	s.reads++
	if id == s.watch {
		s.watched++
	}
	o, ok := s.objects[id]
	if !ok {
		return 0, nil, fmt.Errorf("get %s: not there", id)
	}
	return o.Kind, o.Data, nil
}

func (s *store) emit(o treeedit.Object) error {
	s.objects[o.ID] = o
	return nil
}

func (s *store) put(k gitobj.Kind, data []byte) gitobj.ID {
	id := gitobj.Hash(k, data)
	s.objects[id] = treeedit.Object{Kind: k, ID: id, Data: data}
	return id
}

func (s *store) blob(value []byte) gitobj.ID { return s.put(gitobj.KindBlob, layout.Blob(value)) }

// commit writes a commit; at is its time in seconds.
func (s *store) commit(tree gitobj.ID, at int, parents ...gitobj.ID) gitobj.ID {
	if tree.IsZero() {
		tree = s.put(gitobj.KindTree, nil)
	}
	who := gitobj.Signature{Name: "test", When: time.Unix(int64(at), 0).UTC()}
	return s.put(gitobj.KindCommit, gitobj.Commit{Tree: tree, Parents: parents, Author: who, Committer: who}.Encode())
}

func (s *store) tree(t rapid.TB, commit gitobj.ID) gitobj.ID {
	t.Helper()
	if commit.IsZero() {
		return gitobj.Zero
	}
	c, err := gitobj.DecodeCommit(s.objects[commit].Data)
	if err != nil {
		t.Fatal(err)
	}
	return c.Tree
}

// edit returns a tree with some keys set; nil deletes.
func (s *store) edit(t rapid.TB, tree gitobj.ID, values map[string][]byte) gitobj.ID {
	t.Helper()
	ctx := context.Background()
	e := treeedit.New(s, tree)
	for key, value := range values {
		var err error
		if value == nil {
			err = e.Delete(ctx, key)
		} else {
			err = e.Set(ctx, key, s.blob(value))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := e.Write(ctx, s.emit)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// values returns all keys of a tree.
func (s *store) values(t rapid.TB, tree gitobj.ID) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := treeedit.Walk(context.Background(), s, tree, func(key string, blob gitobj.ID) error {
		value, err := layout.Value(s.objects[blob].Data)
		out[key] = value
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply turns ours into the merged tree.
func (s *store) apply(t rapid.TB, ours gitobj.ID, changes []merge.Change) gitobj.ID {
	t.Helper()
	root, err := merge.Apply(context.Background(), treeedit.New(s, ours), changes, s.emit)
	if err != nil {
		t.Fatal(err)
	}
	return root
}
