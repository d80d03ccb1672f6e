// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndex keeps many copies of a large, changing index: none may change any more, and counts are exact.
func TestIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	x := newIndex()
	now := map[string]int64{} // key -> mod
	type copied struct {
		index
		keys map[string]int64
		rev  int64
	}
	var copies []copied
	var rev int64
	for step := range 40_000 {
		rev++
		key := fmt.Sprintf("/%04d", random.IntN(4000))
		if _, there := now[key]; there && random.IntN(3) == 0 {
			x.remove(key, &version{mod: rev, deleted: true})
			delete(now, key)
		} else {
			x.put(key, &version{mod: rev})
			now[key] = rev
		}
		if step%1000 == 0 {
			copies = append(copies, copied{index: x.copy(), keys: maps.Clone(now), rev: rev})
		}
	}
	for _, c := range copies {
		want := slices.Sorted(maps.Keys(c.keys))
		var have, past []string
		c.ascend(span{start: "/", end: "0"}, func(it item) bool {
			if it.head.mod != c.keys[it.key] {
				t.Fatalf("%s is at %d, was at %d", it.key, it.head.mod, c.keys[it.key])
			}
			have = append(have, it.key)
			return true
		})
		x.ascendAt(span{start: "/", end: toInfinity}, c.rev, func(it item) bool {
			if it.head.mod != c.keys[it.key] {
				t.Fatalf("at revision %d %s is at %d, was at %d", c.rev, it.key, it.head.mod, c.keys[it.key])
			}
			past = append(past, it.key)
			return true
		})
		if !slices.Equal(have, want) || !slices.Equal(past, want) {
			t.Fatalf("at revision %d: %d keys in the copy and %d in the past, want %d", c.rev, len(have), len(past), len(want))
		}
		for range 20 {
			s := span{start: fmt.Sprintf("/%04d", random.IntN(4000)), end: fmt.Sprintf("/%04d", random.IntN(4000))}
			n := 0
			for _, key := range want {
				if s.contains(key) {
					n++
				}
			}
			if have := c.count(s); have != int64(n) {
				t.Fatalf("%d keys in %v, want %d", have, s, n)
			}
		}
	}
}

// TestWatchers compares the watchers found for a key with all of them, looked through.
func TestWatchers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var g watchers
	var all []*watcher
	name := func() string { return string([]byte{'a' + byte(random.IntN(6)), 'a' + byte(random.IntN(6))}) }
	for range 3000 {
		if len(all) > 0 && random.IntN(3) == 0 {
			i := random.IntN(len(all))
			g.remove(all[i])
			all = slices.Delete(all, i, i+1)
		} else {
			w := &watcher{span: span{start: name()}}
			switch random.IntN(4) {
			case 0:
				w.span.end = toInfinity
			case 1, 2:
				w.span.end = name()
			}
			if w.span.empty() {
				continue
			}
			g.add(w)
			all = append(all, w)
		}
		key := name() + "x"[:random.IntN(2)]
		have, want := map[*watcher]int{}, map[*watcher]int{}
		g.each(key, func(w *watcher) { have[w]++ })
		for _, w := range all {
			if w.span.contains(key) {
				want[w] = 1
			}
		}
		if !maps.Equal(have, want) {
			t.Fatalf("%d watchers of %s, want %d", len(have), key, len(want))
		}
	}
}

// TestWindow finds events by revision, also in a copy made before a cut.
func TestWindow(t *testing.T) {
	var w window
	for n := range 2000 {
		w.add(event{after: &version{mod: int64(n / 3 * 2)}}) // three of each even revision
	}
	before := w
	w.cut(600)
	for n := range 500 {
		w.add(event{after: &version{mod: int64(2000 + n)}})
	}
	for rev := int64(600); rev < 2000; rev++ {
		n := w.from(rev)
		if n < w.next && (w.at(n).after.mod < rev || (n > w.first && w.at(n-1).after.mod >= rev)) {
			t.Fatalf("revision %d begins at %d", rev, n)
		}
	}
	if len(w.chunks) >= len(before.chunks)+2 || w.first == 0 {
		t.Errorf("%d chunks after the cut, %d before", len(w.chunks), len(before.chunks))
	}
	for n := before.first; n < before.next; n++ {
		if before.at(n).after.mod != int64(n/3*2) {
			t.Fatalf("event %d of the copy changed", n)
		}
	}
}
