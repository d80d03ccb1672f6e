// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"cmp"
	"slices"
)

// watchers finds the watchers of a key at the cost of those that it has.
// Watchers of the same span share a group. Groups are in the order of their
// starts; reach says how far the groups up to each one reach, so that a search
// backwards knows when to stop.
type watchers struct {
	single map[string][]*watcher // key -> its watchers
	groups []*watchGroup
	reach  []span // the open span, or the one with the greatest end, of the groups up to here
}

type watchGroup struct {
	span
	members []*watcher
}

func (g *watchers) add(w *watcher) {
	if w.span.single() {
		if g.single == nil {
			g.single = map[string][]*watcher{}
		}
		g.single[w.span.start] = append(g.single[w.span.start], w)
		return
	}
	i, found := g.find(w.span)
	if !found {
		g.groups = slices.Insert(g.groups, i, &watchGroup{span: w.span})
		g.measure()
	}
	g.groups[i].members = append(g.groups[i].members, w)
}

func (g *watchers) remove(w *watcher) {
	is := func(o *watcher) bool { return o == w }
	if w.span.single() {
		left := slices.DeleteFunc(g.single[w.span.start], is)
		if len(left) == 0 {
			delete(g.single, w.span.start)
		} else {
			g.single[w.span.start] = left
		}
		return
	}
	i, found := g.find(w.span)
	if !found {
		return
	}
	g.groups[i].members = slices.DeleteFunc(g.groups[i].members, is)
	if len(g.groups[i].members) == 0 {
		g.groups = slices.Delete(g.groups, i, i+1)
		g.measure()
	}
}

func (g *watchers) find(s span) (int, bool) {
	return slices.BinarySearchFunc(g.groups, s, func(have *watchGroup, want span) int {
		return cmp.Or(cmp.Compare(have.start, want.start), cmp.Compare(have.end, want.end))
	})
}

func (g *watchers) measure() {
	g.reach = g.reach[:0]
	var far span
	for i, group := range g.groups {
		if i == 0 || (!far.open() && (group.open() || group.end > far.end)) {
			far = group.span
		}
		g.reach = append(g.reach, far)
	}
}

// each yields the watchers of a key.
func (g *watchers) each(key string, yield func(*watcher)) {
	for _, w := range g.single[key] {
		yield(w)
	}
	i, _ := slices.BinarySearchFunc(g.groups, key, func(have *watchGroup, want string) int {
		if have.start <= want {
			return -1
		}
		return 1
	})
	for i--; i >= 0; i-- {
		if !g.reach[i].open() && g.reach[i].end <= key {
			return
		}
		if group := g.groups[i]; group.contains(key) {
			for _, w := range group.members {
				yield(w)
			}
		}
	}
}
