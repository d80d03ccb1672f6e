// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"bytes"
	"encoding/binary"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// block is the length of what is looked for in a base: shorter matches are not worth a copy.
const block = 16

// maxDelta bounds what is made a delta: larger values seldom change a little.
const maxDelta = 8 << 20

// deltaOf returns a delta from base to target that copies what both have in
// the same order: a few fields of a document, or a few lines of a tree, that
// changed. ok is false if it is not worth having.
func deltaOf(base, target []byte) (delta []byte, ok bool) {
	if len(base) < block || len(target) < block || len(base) > maxDelta || len(target) > maxDelta {
		return nil, false
	}
	head := commonHead(base, target)
	tail := commonTail(base[head:], target[head:])
	delta = pack.EditDelta(len(base), edits(base[:len(base)-tail], target[:len(target)-tail], head)...)
	return delta, len(delta) < len(target)/2
}

// edits returns what makes target of base behind what both begin with.
func edits(base, target []byte, head int) []pack.Edit {
	places := map[uint64]int{}
	for at := len(base) - block; at >= head; at -= block { // the first of equal blocks stays
		places[key(base[at:])] = at
	}
	var out []pack.Edit
	cut, insert := head, head // what is not yet in an edit begins here, in base and in target
	for at := head; at+block <= len(target); {
		from, ok := places[key(target[at:])]
		if !ok || from < cut || !bytes.Equal(base[from:from+block], target[at:at+block]) {
			at++
			continue
		}
		to := at
		for from > cut && to > insert && base[from-1] == target[to-1] {
			from, to = from-1, to-1
		}
		out = append(out, pack.Edit{At: cut, Cut: from - cut, Insert: target[insert:to]})
		n := commonHead(base[from:], target[to:])
		cut, insert = from+n, to+n
		at = insert
	}
	if cut < len(base) || insert < len(target) {
		out = append(out, pack.Edit{At: cut, Cut: len(base) - cut, Insert: target[insert:]})
	}
	return out
}

// key is the beginning of a block, as the map knows it.
func key(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:])*0x9e3779b97f4a7c15
}

func commonHead(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonTail(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[len(a)-1-i] == b[len(b)-1-i] {
		i++
	}
	return i
}
