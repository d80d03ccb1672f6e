// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"context"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Relation says how theirs stands to ours.
type Relation uint8

// The relations.
const (
	// Equal heads are the same commit.
	Equal Relation = iota + 1
	// OursAhead has theirs in its history: there is nothing to merge.
	OursAhead
	// TheirsAhead has ours in its history: ours can move to theirs.
	TheirsAhead
	// Diverged heads have a common past, and each a history of its own since.
	Diverged
	// Unrelated heads have no common past: everything was created on both.
	Unrelated
)

// String returns the relation's name.
func (r Relation) String() string {
	switch r {
	case Equal:
		return "equal"
	case OursAhead:
		return "ours ahead"
	case TheirsAhead:
		return "theirs ahead"
	case Diverged:
		return "diverged"
	case Unrelated:
		return "unrelated"
	default:
		return "unknown"
	}
}

// Merged is a merge of two heads.
type Merged struct {
	Relation Relation
	// Bases are the best common ancestors.
	Bases []gitobj.ID
	Planned

	theirs gitobj.ID
	held   []Filter // the filters, if they left something of theirs out
}

// History merges the heads of branches. It remembers what one merge worked out
// for the next, and is not safe for concurrent use.
//
// Two heads that exchange changes while both go on soon have several best
// common ancestors: each has merged what the other had a moment before. No
// single one of them will do as a base, since what only another one has would
// look like a change of one side and, once it is taken back, come again. So
// the bases are themselves merged, by the same rules and under the names of
// the branches they are on, into a virtual base, which is in no history; and
// so on down if they too have several bases. Equal commits have equal virtual
// bases everywhere, which keeps merges symmetric.
type History struct {
	r     Reader
	bases map[pair]*virtual
	order []pair // the keys of bases, the oldest first
	kept  int    // the size of bases
	known definitions
	lens  *lens      // nil for keys that were never held back
	subs  []*History // for keys that were, each with its lens
}

// NewHistory returns a History of the commits that a reader has.
func NewHistory(r Reader) *History {
	return &History{r: r, bases: make(map[pair]*virtual), known: definitions{}}
}

// Merge plans the merge of one head into another; the ids are of commits. Under
// filters, and after some were lifted, its relation is that of what may pass:
// OursAhead if nothing is to be taken, Diverged if theirs cannot be taken as a whole.
func (h *History) Merge(ctx context.Context, ours, theirs gitobj.ID, p Policy) (Merged, error) {
	if ours == theirs {
		return Merged{Relation: Equal, Bases: []gitobj.ID{ours}}, nil
	}
	w, err := h.walk(ctx, h.r, ours, theirs)
	if err != nil {
		return Merged{}, err
	}
	out := Merged{Relation: relation(w.bases, ours, theirs), Bases: w.bases, theirs: theirs}
	p = p.withDefaults()
	p.definitions = h.known
	x, y := head{ours, p.Ours}, head{theirs, p.Theirs}
	if out.Relation == OursAhead {
		if len(w.filters) > 0 {
			err = h.filtered(ctx, x, y, nil, w.filters, &out, p)
		}
		return out, err
	}
	base, err := h.resolve(ctx, h.r, w, x, y, p, 0)
	if err != nil {
		return Merged{}, err
	}
	if len(p.Filters) > 0 || len(base.filters) > 0 {
		err = h.filtered(ctx, x, y, base, base.filters, &out, p)
		return out, err
	}
	out.Planned, err = Plan(ctx, base.over(h.r), base.tree, ours, theirs, p)
	return out, err
}

// Forward says whether ours can become theirs as a whole, with what is no key's:
// theirs has all of ours, and no filter leaves, or left, anything out.
func (h *History) Forward(ctx context.Context, ours, theirs gitobj.ID, p Policy) (bool, error) {
	if len(p.Filters) > 0 || ours == theirs {
		return false, nil
	}
	w, err := h.walk(ctx, h.r, ours, theirs)
	if err != nil {
		return false, err
	}
	return relation(w.bases, ours, theirs) == TheirsAhead && len(w.filters) == 0, nil
}

func relation(bases []gitobj.ID, ours, theirs gitobj.ID) Relation {
	switch {
	case len(bases) == 0:
		return Unrelated
	case bases[0] == theirs:
		return OursAhead
	case bases[0] == ours:
		return TheirsAhead
	default:
		return Diverged
	}
}
