// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// record is a conflict as it is kept: a file.
type record struct {
	key     string
	content []byte
}

// conflictTrailer begins a line of a heaven's merge commit that holds the
// record of a conflict: its key as a JSON string, and its content, on one line.
const conflictTrailer = "Conflict: "

// unlistedTrailer is the trailer with the number of conflicts that found no room in the message.
const unlistedTrailer = "Conflicts-Unlisted: "

// reported returns the conflicts that heavens recorded in their merge commits.
func reported(objects []transport.Object) []record {
	var out []record
	for _, o := range objects {
		if o.Kind != gitobj.KindCommit || !bytes.Contains(o.Data, []byte("\n"+conflictTrailer)) {
			continue
		}
		c, err := gitobj.DecodeCommit(o.Data)
		if err != nil {
			continue // it was parsed when it came in
		}
		for line := range strings.SplitSeq(c.Message, "\n") {
			if n, ok := strings.CutPrefix(line, unlistedTrailer); ok {
				out = append(out, unlisted(o.ID, c, n))
			}
			text, ok := strings.CutPrefix(line, conflictTrailer)
			if !ok {
				continue
			}
			if r, err := parseRecord(text); err == nil && conflict.ValidName(r.key) { // else the commit still says it
				out = append(out, r)
			}
		}
	}
	return out
}

// unlisted is the one record of all conflicts of a merge that had no room for records of their own.
func unlisted(id gitobj.ID, c gitobj.Commit, n string) record {
	r := conflict.Record{
		Why: "unlisted", Who: c.Author.Name, When: c.Author.When.UTC(),
		Reason: fmt.Sprintf("%.20s more conflicts of merge commit %s found no room in its message; both sides are its parents", n, id),
	}
	for i, side := range []*conflict.Side{&r.Ours, &r.Theirs} {
		if i < len(c.Parents) {
			side.Commit = &c.Parents[i]
		}
	}
	r.Ours.Branch, r.Theirs.Branch = c.Author.Name, mainBranch
	content, err := json.MarshalIndent(r, "", " ")
	if err != nil { // it has nothing that JSON cannot say
		content = []byte("{}")
	}
	return record{key: "/unlisted/" + id.String()[:16] + ".json", content: append(content, '\n')}
}

func parseRecord(text string) (record, error) {
	var r record
	var content json.RawMessage
	in := json.NewDecoder(strings.NewReader(text))
	if err := errors.Join(in.Decode(&r.key), in.Decode(&content)); err != nil {
		return r, fmt.Errorf("parse conflict record: %w", err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, content, "", " "); err != nil {
		return r, fmt.Errorf("parse conflict record: %w", err)
	}
	pretty.WriteByte('\n')
	r.content = pretty.Bytes()
	return r, nil
}

// keep commits the records of a pass to the branch of conflicts, and returns how it moves. Records that are there
// already are left out; if all are, nothing moves.
func (h *Hub) keep(ctx context.Context, f *fold) (transport.Command, error) {
	move, parents, tree, err := h.conflictsNow(f)
	if err != nil {
		return move, err
	}
	book := conflict.Edit(f, tree)
	f.filed = nil
	for _, r := range f.records {
		fresh, err := book.File(ctx, r.key, r.content)
		if err != nil {
			return move, err
		}
		if fresh {
			f.filed = append(f.filed, r)
		}
	}
	if len(f.filed) == 0 {
		move.New = move.Old
		return move, nil
	}
	if tree, err = book.Write(ctx, f.emit); err != nil {
		return move, err
	}
	main, err := commitOf(f, f.main)
	if err != nil {
		return move, err
	}
	o := encode(tree, parents, latest(main, main), fmt.Sprintf("record %d conflicts\n\nMain: %s\n", len(f.filed), f.main))
	f.add(o)
	move.New = o.ID
	return move, nil
}

// conflictsNow returns where the branch of conflicts is.
func (h *Hub) conflictsNow(r transport.Objects) (move transport.Command, parents []gitobj.ID, tree gitobj.ID, err error) {
	move.Name = Conflicts
	head, ok := h.repo.Ref(Conflicts)
	if !ok {
		return move, nil, gitobj.Zero, nil
	}
	before, err := commitOf(r, head)
	if err != nil {
		return move, nil, gitobj.Zero, err
	}
	move.Old, parents = head, []gitobj.ID{head}
	return move, parents, before.Tree, nil
}
