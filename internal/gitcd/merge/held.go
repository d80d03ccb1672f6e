// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// heldTrailer begins a line of a merge commit that says which keys of a parent
// were not merged: the parent's id, and the filters that left them out.
const heldTrailer = "Held-Back: "

// Trailer returns the lines that the message of the merge commit needs: none
// unless filters held something back. Without them a later merge would take
// what was held back for merged, and undo it.
//
//	main    o ── M1 ─────── M2      M1 merges h1, but holds its key k back: "Held-Back: h1 ..."
//	heaven  └─ h1 ── h2 ────┘       M2 is under no filter. For k the line from M1 to h1 does not count:
//	                                its base is o, so that what h1 did to k is merged at last.
func (m Merged) Trailer() string {
	if len(m.held) == 0 {
		return ""
	}
	filters, err := json.Marshal(m.held)
	if err != nil { // lists of strings: there is none
		return ""
	}
	return fmt.Sprintf("%s%s %s\n", heldTrailer, m.theirs, filters)
}

// heldBack returns what was held back of the parents of a commit: the filters,
// as the trailer writes them.
func heldBack(message string) map[gitobj.ID]string {
	if !strings.Contains(message, "\n"+heldTrailer) {
		return nil
	}
	out := make(map[gitobj.ID]string)
	for line := range strings.SplitSeq(message, "\n") {
		rest, ok := strings.CutPrefix(line, heldTrailer)
		if !ok {
			continue
		}
		name, filters, _ := strings.Cut(rest, " ")
		if id, err := gitobj.ParseID(name); err == nil && parseFilters(filters) != nil {
			out[id] = filters
		}
	}
	return out
}

// parseFilters reads the filters of a trailer; nil if they are none.
func parseFilters(text string) []Filter {
	var filters []Filter
	if err := json.Unmarshal([]byte(text), &filters); err != nil {
		return nil
	}
	return filters
}

// holds says whether a key is left out by any of some filters.
func holds(filters []Filter, key string) bool {
	return slices.ContainsFunc(filters, func(f Filter) bool { return f.Holds(key) })
}

// touched says whether a key is left out by filters, as trailers write them.
func touched(filters []string, key string) bool {
	return slices.ContainsFunc(filters, func(text string) bool { return holds(parseFilters(text), key) })
}

// lens is how a key sees history: without the lines along which it was held
// back. Keys that were always held back together have one lens.
type lens struct {
	key string // one of them
	// seen are the filters met so far, as trailers write them, and whether they hold the key.
	seen map[string]bool
}

// cuts says whether the line that filters were put on does not count. Without a lens all do.
func (l *lens) cuts(filters string) bool {
	if l == nil {
		return false
	}
	cut, ok := l.seen[filters]
	if !ok {
		cut = holds(parseFilters(filters), l.key)
		l.seen[filters] = cut
	}
	return cut
}

// fits says whether a key sees history as the lens has shown it so far.
func (l *lens) fits(key string) bool {
	for filters, held := range l.seen {
		if held != holds(parseFilters(filters), key) {
			return false
		}
	}
	return true
}

// mostLenses is how many lenses a History remembers what it worked out for.
const mostLenses = 16

// through returns the lens of a key, and its base of two heads.
func (h *History) through(ctx context.Context, key string, x, y head, p Policy) (*lens, *virtual, error) {
	for _, sub := range h.subs {
		if !sub.lens.fits(key) {
			continue
		}
		base, err := sub.base(ctx, h.r, x, y, p, 0)
		if err != nil || sub.lens.fits(key) { // it may have met more filters on the way
			return sub.lens, base, err
		}
	}
	sub := NewHistory(h.r)
	sub.lens = &lens{key: key, seen: make(map[string]bool)}
	if h.subs = append(h.subs, sub); len(h.subs) > mostLenses {
		h.subs = h.subs[1:]
	}
	base, err := sub.base(ctx, h.r, x, y, p, 0)
	return sub.lens, base, err
}

// filtered plans a merge under filters, or one of keys that were held back
// before. filters are those that were met between the heads and std, the base
// of all other keys.
func (h *History) filtered(ctx context.Context, x, y head, std *virtual, filters []string, out *Merged, p Policy) error {
	late := make(map[string]gitobj.ID) // keys that were held back, with what theirs has of them
	held := false
	err := h.differ(ctx, x, y, func(key string, theirs gitobj.ID) {
		switch {
		case holds(p.Filters, key):
			held = true
		case touched(filters, key):
			late[key] = theirs
		}
	})
	if err != nil {
		return err
	}
	if held {
		out.held = p.Filters
	}
	if out.Relation != OursAhead {
		free := func(key string) bool { return !holds(p.Filters, key) && !touched(filters, key) }
		if out.Planned, err = plan(ctx, std.over(h.r), std.tree, x.id, y.id, p, free); err != nil {
			return err
		}
	}
	carries := maps.Clone(late) // what a fast-forward would bring and the merge does not
	for len(late) > 0 {
		more, err := h.lately(ctx, x, y, late, p)
		if err != nil {
			return err
		}
		for _, c := range more.Changes {
			if c.Blob == c.Theirs {
				delete(carries, c.Key)
			}
		}
		out.add(more)
	}
	out.Relation = out.passing(held || len(carries) > 0)
	return nil
}

// passing returns the relation of what may pass; kept says that theirs has something that may not.
func (m Merged) passing(kept bool) Relation {
	nothing := len(m.Changes) == 0 && len(m.Conflicts) == 0
	switch {
	case m.Relation == OursAhead && !nothing, m.Relation == TheirsAhead && kept && !nothing:
		return Diverged
	case m.Relation == TheirsAhead && kept:
		return OursAhead
	default:
		return m.Relation
	}
}

// lately merges some of the keys that were held back, which it takes out of
// late: those of one lens.
func (h *History) lately(ctx context.Context, x, y head, late map[string]gitobj.ID, p Policy) (Planned, error) {
	first := slices.Min(slices.Collect(maps.Keys(late)))
	l, base, err := h.through(ctx, first, x, y, p)
	if err != nil {
		return Planned{}, err
	}
	now := map[string]bool{first: true}
	for key := range late {
		now[key] = now[key] || l.fits(key)
	}
	maps.DeleteFunc(late, func(key string, _ gitobj.ID) bool { return now[key] })
	return plan(ctx, base.over(h.r), base.tree, x.id, y.id, p, func(key string) bool { return now[key] })
}

// differ yields the keys in which two heads differ, with what the second has of them.
func (h *History) differ(ctx context.Context, x, y head, yield func(key string, theirs gitobj.ID)) error {
	ours, err := treeOf(h.r, x.id)
	if err != nil {
		return err
	}
	theirs, err := treeOf(h.r, y.id)
	if err != nil {
		return err
	}
	err = treeedit.Diff(ctx, h.r, ours, theirs, func(key string, _, b gitobj.ID) error {
		yield(key, b)
		return nil
	})
	if err != nil {
		return fmt.Errorf("compare %s and %s: %w", x.id, y.id, err)
	}
	return nil
}

// add joins a plan for other keys.
func (p *Planned) add(more Planned) {
	p.Changes = append(p.Changes, more.Changes...)
	p.Conflicts = append(p.Conflicts, more.Conflicts...)
	p.sort()
}
