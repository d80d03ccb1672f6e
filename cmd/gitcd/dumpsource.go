// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// pageKeys is how many keys are read at once.
const pageKeys = 500

const headsPrefix = "refs/heads/"

// offline is a repository that nobody serves.
type offline struct{ journal *journal.Journal }

func openOffline(ctx context.Context, dir string) (offline, error) {
	if _, err := os.Stat(dir); err != nil {
		return offline{}, &usageError{fmt.Errorf("open repository: %w", err)}
	}
	j, err := journal.Open(ctx, vfs.OS{}, dir, journal.Options{PublishInterval: -1})
	if locked := (*vfs.LockedError)(nil); errors.As(err, &locked) {
		err = fmt.Errorf("%w; it is being served: give --endpoint instead", err)
	}
	return offline{journal: j}, err
}

func (o offline) close(ctx context.Context) error { return o.journal.Close(ctx) }

// heads returns the names of the branches, without refs/heads/.
func (o offline) heads() (names []string) {
	for name := range o.journal.Refs(headsPrefix) {
		names = append(names, strings.TrimPrefix(name, headsPrefix))
	}
	return names
}

// storeSource is the store of a branch.
type storeSource struct {
	offline
	store    *mvcc.Store
	branch   string
	revision int64
}

func openRepository(ctx context.Context, d *dumpOptions) (keySource, error) {
	o, err := openOffline(ctx, d.dir)
	if err != nil {
		return nil, err
	}
	name, revision := d.branch, d.revision
	if name == "" {
		if name, err = o.defaultBranch(); err != nil {
			return nil, errors.Join(err, o.close(ctx))
		}
	}
	options := d.of(headsPrefix + name)
	options.Branch, options.ReadOnly = headsPrefix+name, true
	store, err := branch.OpenStore(ctx, o.journal, options)
	if err != nil {
		return nil, errors.Join(err, o.close(ctx))
	}
	if revision == 0 {
		revision = store.Revision()
	}
	return &storeSource{offline: o, store: store, branch: name, revision: revision}, nil
}

func (o offline) defaultBranch() (string, error) {
	heads := o.heads()
	if _, ok := o.journal.Ref(headsPrefix + "main"); ok || len(heads) == 0 {
		return "main", nil
	}
	if len(heads) == 1 {
		return heads[0], nil
	}
	return "", &usageError{fmt.Errorf("the repository has the branches %s: give one with --branch", strings.Join(heads, ", "))}
}

func (s *storeSource) each(ctx context.Context, prefix string, yield func(mvcc.KeyValue) error) error {
	r := mvcc.RangeRequest{Key: prefix, End: endOf(prefix), Revision: s.revision, Limit: pageKeys}
	for {
		page, err := s.store.Range(ctx, r)
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		for _, kv := range page.KVs {
			if err := yield(kv); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		r.Key = page.KVs[len(page.KVs)-1].Key + "\x00"
	}
}

func (s *storeSource) snapshot(ctx context.Context, w io.Writer) (err error) {
	p, err := s.store.Past(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gitcd-dump")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	spool, err := snapshot.OpenSpool(dir)
	if err != nil {
		return err
	}
	member := snapshot.Member{ID: 1, Name: s.branch, PeerURLs: []string{"http://localhost:2380"}, ClientURLs: []string{"http://localhost:2379"}}
	f, err := spool.Write(ctx, etcdapi.StateOf(p, member, 1), etcdapi.Changes(p))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Stream(func(int64) {}, w)
}

func (s *storeSource) close(ctx context.Context) error {
	return errors.Join(s.store.Close(ctx), s.offline.close(ctx))
}

// endOf returns the end of the keys that begin with a prefix.
func endOf(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return "\x00"
}

// commitSource is the tree of a commit. It knows no revisions.
type commitSource struct {
	offline
	tree gitobj.ID
	keys mvcc.Keys // nil: they lie where their paths say
}

func openCommit(ctx context.Context, dir, name string, keys mvcc.Keys) (keySource, error) {
	o, err := openOffline(ctx, dir)
	if err != nil {
		return nil, err
	}
	_, commit, err := o.commit(name)
	if err != nil {
		return nil, errors.Join(&usageError{err}, o.close(ctx))
	}
	return &commitSource{offline: o, tree: commit.Tree, keys: keys}, nil
}

// commit finds a commit by its id, by a branch, or by one of these and ~N.
func (o offline) commit(name string) (gitobj.ID, gitobj.Commit, error) {
	stem, back, _ := strings.Cut(name, "~")
	steps := 0
	if strings.Contains(name, "~") {
		var err error
		if steps, err = strconv.Atoi(back); back == "" {
			steps = 1
		} else if err != nil || steps < 0 {
			return gitobj.Zero, gitobj.Commit{}, fmt.Errorf("find commit %s: behind ~ must be a number", name)
		}
	}
	id, ok := o.journal.Ref(headsPrefix + stem)
	if !ok {
		var err error
		if id, err = gitobj.ParseID(stem); err != nil {
			return gitobj.Zero, gitobj.Commit{}, fmt.Errorf("find commit %s: it is neither a branch nor the whole id of a commit", name)
		}
	}
	for {
		kind, data, err := o.journal.Get(id)
		if err != nil {
			return gitobj.Zero, gitobj.Commit{}, fmt.Errorf("find commit %s: %w", name, err)
		}
		if kind != gitobj.KindCommit {
			return gitobj.Zero, gitobj.Commit{}, fmt.Errorf("find commit %s: %s is a %s", name, id, kind)
		}
		c, err := gitobj.DecodeCommit(data)
		if err != nil || steps == 0 {
			return id, c, err
		}
		if len(c.Parents) == 0 {
			return gitobj.Zero, gitobj.Commit{}, fmt.Errorf("find commit %s: %s is the first one", name, id)
		}
		id, steps = c.Parents[0], steps-1
	}
}

func (s *commitSource) each(ctx context.Context, prefix string, yield func(mvcc.KeyValue) error) error {
	blobs := map[string]gitobj.ID{}
	err := treeedit.Walk(ctx, s.journal, s.tree, func(key string, blob gitobj.ID) error {
		if s.keys != nil {
			var served bool
			if key, served = s.keys.Key(key); !served {
				return nil
			}
		}
		if strings.HasPrefix(key, prefix) {
			blobs[key] = blob
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read tree: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(blobs)) {
		_, data, err := s.journal.Get(blobs[key])
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		value, err := layout.Value(data)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		if err := yield(mvcc.KeyValue{Key: key, Value: value}); err != nil {
			return err
		}
	}
	return nil
}

func (s *commitSource) snapshot(context.Context, io.Writer) error {
	return &usageError{errors.New("a commit has no revisions: there is no snapshot of it")}
}
