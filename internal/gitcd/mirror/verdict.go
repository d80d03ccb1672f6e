// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// stand is where a branch stands: with us, at the forge, and there when it was last seen.
type stand struct {
	name               string
	ours, theirs, seen gitobj.ID
}

// verdict says what is to be done about a branch.
type verdict int

const (
	inStep  verdict = iota // nothing
	create                 // the forge lacks the branch: push it
	forward                // ours holds theirs: push it
	foreign                // theirs holds what ours lacks: take it in
	ignored                // it is not one of ours, and we have none of that name
)

// judge compares a branch with the forge's. The first row that fits is the verdict.
//
//	ours   theirs                   verdict   because
//	-      not one that we merge    ignored   others may keep their branches at the forge, too
//	x      the same                 in step
//	x      -                        create    it was never there, or is lost
//	x      in the history of x      forward   we have gone on, or they went back
//	any    anything else            foreign   others pushed it
//
// lost says that the forge had something of the branch, and has it no more.
func (m *Mirror) judge(ctx context.Context, s stand) (v verdict, lost bool, err error) {
	switch {
	case s.ours.IsZero() && (s.theirs.IsZero() || !merged(s.name)):
		return ignored, false, nil
	case s.ours == s.theirs:
		m.sure[s.name] = s.theirs
		return inStep, false, nil
	case s.theirs.IsZero():
		return create, !s.seen.IsZero(), nil
	}
	if !s.seen.IsZero() && s.seen != s.theirs {
		held, err := m.holds(ctx, s.theirs, s.seen)
		if err != nil {
			return inStep, false, err
		}
		lost = !held && m.repo.Has(s.theirs) // else it is looked at once it is here
	}
	if m.sure[s.name] == s.theirs {
		return forward, lost, nil
	}
	held, err := m.holds(ctx, s.ours, s.theirs)
	if err != nil || !held {
		return foreign, lost, err
	}
	m.sure[s.name] = s.theirs
	return forward, lost, nil
}

// holds says whether a commit's history has another one in it.
func (m *Mirror) holds(ctx context.Context, head, id gitobj.ID) (bool, error) {
	switch {
	case head == id:
		return true, nil
	case head.IsZero() || id.IsZero() || !m.repo.Has(head) || !m.repo.Has(id):
		return false, nil
	}
	bases, err := merge.Bases(ctx, m.repo, head, id)
	if err != nil {
		return false, fmt.Errorf("compare %s with %s: %w", head, id, err)
	}
	return len(bases) == 1 && bases[0] == id, nil
}

// related says whether two commits have history in common.
func (m *Mirror) related(ctx context.Context, a, b gitobj.ID) (bool, error) {
	if a.IsZero() || b.IsZero() {
		return false, nil
	}
	bases, err := merge.Bases(ctx, m.repo, a, b)
	if err != nil {
		return false, fmt.Errorf("compare %s with %s: %w", a, b, err)
	}
	return len(bases) > 0, nil
}

// merged says whether a branch is main, or one that goes into it.
func merged(name string) bool {
	name = strings.TrimPrefix(name, "fenced/")
	return name == main || strings.HasPrefix(name, "heavens/") || strings.HasPrefix(name, "nodes/")
}

// branches returns what is mirrored.
func branches(repo transport.Repository) map[string]gitobj.ID { // branch -> head
	out := map[string]gitobj.ID{}
	for ref, id := range repo.Refs(heads) {
		out[strings.TrimPrefix(ref, heads)] = id
	}
	return out
}

// keeper is the branch that a history of the forge's is kept in.
func keeper(name string, id gitobj.ID) string {
	return rewritten + name + "/" + id.String()[:12]
}
