// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// totalTrailer says in a quarantine's head how many entries there ever were.
const totalTrailer = "Total"

// move is how a ref moves.
type move = transport.Command

// file is what changes in the quarantine of one branch.
type file struct {
	kept   []*Quarantined
	values map[*Quarantined][]byte // new values that no blob has yet
	gone   []*Quarantined
	// unlisted are refused, but have no record: their commits are parents.
	unlisted []*Quarantined
}

func fileOf(files map[string]*file, branch string) *file {
	if files[branch] == nil {
		files[branch] = &file{values: map[*Quarantined][]byte{}}
	}
	return files[branch]
}

func (f *file) set(q *Quarantined, value []byte) {
	f.kept = append(f.kept, q)
	if value != nil {
		f.values[q] = value
	}
}

func (f *file) remove(q *Quarantined) { f.gone = append(f.gone, q) }

// write commits what changes to the branches of quarantine. A note is the end of their messages.
func (h *Hub) write(ctx context.Context, f *fold, files map[string]*file, note string) ([]move, error) {
	moves := make([]move, 0, len(files))
	for _, branch := range slices.Sorted(maps.Keys(files)) {
		m, err := h.writeOne(ctx, f, branch, files[branch], note)
		if err != nil {
			return nil, fmt.Errorf("file quarantine of %s: %w", branch, err)
		}
		moves = append(moves, m)
	}
	return moves, nil
}

func (h *Hub) writeOne(ctx context.Context, f *fold, branch string, changes *file, note string) (move, error) {
	m := move{Name: heads + quarantine + branch, Old: h.keeper.heads[branch]}
	main, err := commitOf(f, f.main)
	if err != nil {
		return m, err
	}
	var parents []gitobj.ID
	var tree gitobj.ID
	if !m.Old.IsZero() {
		before, err := commitOf(f, m.Old)
		if err != nil {
			return m, err
		}
		parents, tree = []gitobj.ID{m.Old}, before.Tree
	}
	if tree, err = changes.edit(ctx, f, tree); err != nil {
		return m, err
	}
	total := h.keeper.totals[branch]
	for _, q := range append(slices.Clip(changes.kept), changes.unlisted...) {
		if !slices.Contains(parents, q.Commit) {
			parents = append(parents, q.Commit)
		}
	}
	for _, q := range changes.kept {
		if was := h.keeper.entries[branch][q.Key]; was == nil || was.State == Rejected && q.State == Waiting {
			total++
		}
	}
	if n := len(changes.unlisted); n > 0 {
		note = fmt.Sprintf("Unlisted: %d\n%s", n, note)
	}
	message := fmt.Sprintf("%s\n\nMain: %s\n%s: %d\n%s", changes.subject(branch), f.main, totalTrailer, total, note)
	o := encode(tree, parents, latest(main, main), message)
	f.add(o)
	if f.withheld.totals == nil {
		f.withheld.totals = map[string]int64{}
	}
	f.withheld.totals[branch] = total
	m.New = o.ID
	return m, nil
}

// edit returns the tree with what changes.
func (f *file) edit(ctx context.Context, fold *fold, tree gitobj.ID) (gitobj.ID, error) {
	editor := treeedit.New(fold, tree)
	for _, q := range f.kept {
		if err := f.put(ctx, fold, editor, q); err != nil {
			return tree, err
		}
	}
	for _, q := range f.gone {
		for _, at := range []string{recordsAt, oldAt, newAt} {
			if err := editor.Delete(ctx, place(at, q.Key)); err != nil {
				return tree, err
			}
		}
	}
	return editor.Write(ctx, fold.emit)
}

func (f *file) subject(branch string) string {
	switch {
	case len(f.kept) == 0:
		return fmt.Sprintf("close %d changes of %s", len(f.gone), branch)
	case len(f.gone) == 0:
		return fmt.Sprintf("keep %d changes of %s out of main", len(f.kept), branch)
	default:
		return fmt.Sprintf("keep %d changes of %s out of main, close %d", len(f.kept), branch, len(f.gone))
	}
}

// put files an entry with both values: they stay reachable whatever becomes of the branch.
func (f *file) put(ctx context.Context, fold *fold, editor *treeedit.Editor, q *Quarantined) error {
	record, err := render(q)
	if err != nil {
		return err
	}
	blob := func(data []byte) gitobj.ID {
		o := transport.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, data), Data: data}
		fold.add(o)
		return o.ID
	}
	if value, ok := f.values[q]; ok {
		blob(layout.Blob(value))
	}
	id := blob(record)
	for _, p := range []struct {
		at   string
		blob *gitobj.ID
	}{{recordsAt, &id}, {oldAt, q.Old}, {newAt, q.New}} {
		if p.blob == nil {
			err = editor.Delete(ctx, place(p.at, q.Key))
		} else {
			err = editor.Set(ctx, place(p.at, q.Key), *p.blob)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func render(q *Quarantined) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(q); err != nil {
		return nil, fmt.Errorf("render record of %q: %w", q.Key, err)
	}
	return out.Bytes(), nil
}
