// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import "github.com/tidwall/btree"

// item is a key with its newest state.
type item struct {
	key  string
	head *version
}

// index holds the keys. Copies share what they have in common: a copy costs
// nothing, and the first change on either side of a node copies that node. The
// two trees let a count be a difference of ranks.
type index struct {
	live *btree.BTreeG[item] // keys that exist
	dead *btree.BTreeG[item] // keys that do not, but did since the last compaction
	// hint is where the last key was found. A change looks for its key several times in a row. Copies have none: theirs
	// are read by many at once.
	hint *btree.PathHint
}

func newIndex() index {
	o := btree.Options{NoLocks: true, Degree: 16}
	before := func(a, b item) bool { return a.key < b.key }
	return index{live: btree.NewBTreeGOptions(before, o), dead: btree.NewBTreeGOptions(before, o), hint: new(btree.PathHint)}
}

func (x index) copy() index { return index{live: x.live.Copy(), dead: x.dead.Copy()} }

// get returns the state of a key that exists, else nil.
func (x index) get(key string) *version {
	it, ok := x.live.GetHint(item{key: key}, x.hint)
	if !ok {
		return nil
	}
	return it.head
}

// put makes v the newest state of key and returns the change.
func (x index) put(key string, v *version) event {
	old, existed := x.live.SetHint(item{key: key, head: v}, x.hint)
	if existed {
		v.prev.Store(old.head)
		return event{key: old.key, after: v, before: old.head}
	}
	if was, ok := x.dead.Delete(item{key: key}); ok {
		v.prev.Store(was.head)
		key = was.key
	}
	return event{key: key, after: v}
}

// remove makes v, a deletion, the newest state of key, which exists.
func (x index) remove(key string, v *version) event {
	old, existed := x.live.DeleteHint(item{key: key}, x.hint)
	if !existed {
		return event{key: key, after: v}
	}
	v.prev.Store(old.head)
	x.dead.Set(item{key: old.key, head: v})
	return event{key: old.key, after: v, before: old.head}
}

// ascend yields the keys that exist in the span, in order.
func (x index) ascend(s span, yield func(item) bool) {
	if s.single() {
		if it, ok := x.live.GetHint(item{key: s.start}, x.hint); ok {
			yield(it)
		}
		return
	}
	x.live.Ascend(item{key: s.start}, func(it item) bool {
		return s.contains(it.key) && yield(it)
	})
}

// ascendAt yields the keys that existed at a revision, in order, with their state then.
func (x index) ascendAt(s span, rev int64, yield func(item) bool) {
	emit := func(it item) bool {
		v := it.head.at(rev)
		return !v.live() || yield(item{key: it.key, head: v})
	}
	if s.single() {
		for _, t := range []*btree.BTreeG[item]{x.live, x.dead} {
			if it, ok := t.Get(item{key: s.start}); ok {
				emit(it)
			}
		}
		return
	}
	dead := x.dead.Iter()
	defer dead.Release()
	more := dead.Seek(item{key: s.start})
	on := true
	x.live.Ascend(item{key: s.start}, func(it item) bool {
		for on && more && dead.Item().key < it.key && s.contains(dead.Item().key) {
			on = emit(dead.Item())
			more = dead.Next()
		}
		on = on && s.contains(it.key) && emit(it)
		return on
	})
	for more && s.contains(dead.Item().key) && on {
		on = emit(dead.Item())
		more = dead.Next()
	}
}

// count returns how many keys exist in the span.
func (x index) count(s span) int64 {
	switch {
	case s.single():
		if x.get(s.start) != nil {
			return 1
		}
		return 0
	case s.open():
		return int64(x.live.Len() - x.rank(s.start))
	case s.empty():
		return 0
	default:
		return int64(x.rank(s.end) - x.rank(s.start))
	}
}

// rank returns how many existing keys are before key.
func (x index) rank(key string) int {
	low, high := 0, x.live.Len()
	for low < high {
		mid := int(uint(low+high) >> 1)
		if it, _ := x.live.GetAt(mid); it.key < key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
