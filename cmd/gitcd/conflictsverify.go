// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// Why nobody writes down that the other side was taken.
var (
	errNotTaken = errors.New("the repository does not have that value yet: write it as said above, fetch, and call this again; or give --kubeconfig, or --force to have it written down unseen")
	errNoMain   = errors.New("the repository has no branch that could show whether that value was written: fetch main, or give --kubeconfig, or --force to have it written down unseen")
	errHubBlind = errors.New("a hub does not tell what an object is now: give --kubeconfig, or --dir of a clone that has main, or --force to have it written down unseen")
)

// taken looks whether a branch that has the merge behind it has the other side's value now.
func (s *gitConflicts) taken(ctx context.Context, c hub.ListedConflict) (err error) {
	heads, err := s.after(ctx, c)
	if err != nil {
		return err
	}
	if len(heads) == 0 {
		return errNoMain
	}
	r, err := s.objects(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, head := range heads {
		now, err := valueAt(ctx, r, head, c.Record.Key)
		if err != nil {
			return err
		}
		same, err := sameThere(now, wholeOf(c, c.Record.Took != "ours"), c.Record.Path)
		if err != nil {
			return err
		}
		if same {
			return nil
		}
	}
	return errNotTaken
}

// taken cannot be found out at a hub.
func (*hubConflicts) taken(context.Context, hub.ListedConflict) error { return errHubBlind }

// after returns the heads of main, or of the branch whose value stood, that have both sides of the merge in their history.
func (s *gitConflicts) after(ctx context.Context, c hub.ListedConflict) ([]gitobj.ID, error) {
	refs := []string{"for-each-ref", "--format=%(objectname)"}
	for _, branch := range []string{merge.MainBranch, c.Record.Winner().Branch} {
		if branch != "" {
			refs = append(refs, "refs/heads/"+branch, "refs/remotes/*/"+branch)
		}
	}
	text, err := s.git(ctx, nil, refs...)
	if err != nil {
		return nil, err
	}
	var heads []gitobj.ID
	for name := range strings.FieldsSeq(text) {
		id, err := gitobj.ParseID(name)
		if err != nil {
			return nil, fmt.Errorf("read branches: %w", err)
		}
		behind := true
		for _, side := range []*gitobj.ID{c.Record.Ours.Commit, c.Record.Theirs.Commit} {
			if side != nil {
				_, err := s.git(ctx, nil, "merge-base", "--is-ancestor", side.String(), name)
				behind = behind && err == nil // a commit that is not even here is in no history
			}
		}
		if behind {
			heads = append(heads, id)
		}
	}
	return heads, nil
}

// valueAt returns what a commit has of a key, nil if it has not.
func valueAt(ctx context.Context, r treeedit.Reader, head gitobj.ID, key string) ([]byte, error) {
	_, data, err := r.Get(head)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", head, err)
	}
	commit, err := gitobj.DecodeCommit(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", head, err)
	}
	blob, ok, err := treeedit.Lookup(ctx, r, commit.Tree, key)
	if err != nil || !ok {
		return nil, err
	}
	if _, data, err = r.Get(blob); err != nil {
		return nil, fmt.Errorf("read %s: %w", blob, err)
	}
	return layout.Value(data)
}

// sameThere says whether a value has at a path what another one has. Of whole objects what a server gives them does not count.
func sameThere(now []byte, other json.RawMessage, path string) (bool, error) {
	if now == nil || other == nil {
		return now == nil && other == nil, nil
	}
	is, err := parseObject(now)
	if err != nil {
		return false, err
	}
	want, err := parseObject(other)
	if err != nil {
		return false, err
	}
	if path == "" {
		return reflect.DeepEqual(spoken(is), spoken(want)), nil
	}
	steps, err := parseField(path)
	if err != nil {
		return false, err
	}
	x, there := lookUp(is, steps)
	y, wanted := lookUp(want, steps)
	return there == wanted && reflect.DeepEqual(x, y), nil
}

// serverGiven are the parts of metadata that a server gives, and gives again.
var serverGiven = []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"}

// spoken is an object without what its server says of it.
func spoken(object map[string]any) map[string]any {
	delete(object, "status")
	if meta, ok := object["metadata"].(map[string]any); ok {
		for _, name := range serverGiven {
			delete(meta, name)
		}
	}
	return object
}
