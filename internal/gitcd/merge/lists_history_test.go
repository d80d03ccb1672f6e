// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// gardenLists are the lists of a custom resource, as one of its definitions has them.
var gardenLists = listy{"example.org/v1", "Garden", map[string]itemType{"spec.beds": named("size", "note")}}

// TestListsConverge lets three heavens edit lists of built-in kinds and of a
// custom resource, and the definition of that, and merge in any order: each
// merge is the same from both sides, and all end with one tree.
func TestListsConverge(t *testing.T) {
	definitions := [][]byte{
		gardens(t, "a", byName), gardens(t, "b", byName), gardens(t, "a", "x-kubernetes-list-type: atomic"),
		gardens(t, "a", byName+"\n                maxItems: 2"), nil,
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 3)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			who := w.heavens[rapid.IntRange(0, len(w.heavens)-1).Draw(t, "heaven")]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1, 2:
				w.clock++
				who.head = w.commit(w.edit(t, w.tree(t, who.head), w.lists(t, who)), w.clock, who.head)
			case 3:
				w.clock++
				definition := rapid.SampledFrom(definitions).Draw(t, "definition")
				who.head = w.commit(w.edit(t, w.tree(t, who.head), map[string][]byte{definitionKey: definition}), w.clock, who.head)
			case 4, 5:
				who.pushed = who.head
				w.hub(t, who)
			case 6:
				who.fetched = w.main
				w.heaven(t, who)
			}
		}
		w.settle(t)
		w.check(t)
	})
}

// lists edits the lists of an object in a heaven.
func (w *world) lists(t *rapid.T, who *heaven) map[string][]byte {
	t.Helper()
	l, key := gardenLists, gardenKey
	if rapid.Bool().Draw(t, "built-in") {
		l = rapid.SampledFrom(listies).Draw(t, "kind")
		key = "/registry/" + l.kind + "/default/x"
	}
	o := map[string]any{
		"apiVersion": l.apiVersion, "kind": l.kind, "metadata": map[string]any{"name": "x", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"},
	}
	if now := w.values(t, w.tree(t, who.head))[key]; now != nil {
		if err := json.Unmarshal(now, &o); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{key: encode(t, l.edit(t, o, who.branch))}
}
