// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// TestM4Convergent lets four heavens write, push, fetch and merge in any order
// through a hub, which merges what it was handed when it likes; not to be
// scheduled is to be cut off. Then writes stop, the links are up, and all must
// end with one tree, with nothing lost that is not on record.
func TestM4Convergent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 4)
		if rapid.Bool().Draw(t, "preferring") {
			w.settings.Branches = []merge.BranchSettings{
				{Branch: "heavens/1", Prefer: []merge.Preference{{Key: "/k/a", Take: merge.Ours}, {Path: ".data.x", Take: merge.Theirs}}},
				{Branch: "heavens/2", Prefer: []merge.Preference{{Path: ".data", Take: merge.Ours}}},
			}
		}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			who := w.heavens[rapid.IntRange(0, len(w.heavens)-1).Draw(t, "heaven")]
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				w.write(t, who)
			case 2:
				who.pushed = who.head
			case 3:
				w.hub(t, who)
			case 4:
				who.fetched = w.main
			case 5:
				w.heaven(t, who)
			}
		}
		w.settle(t)
		w.check(t)
	})
}

// world is a hub, its heavens, and what is known of every write.
type world struct {
	*store
	clock   int
	main    gitobj.ID
	history *merge.History
	heavens []*heaven
	// settings are those that all merge by.
	settings merge.Settings

	conflicts []merge.Conflict
	// tokens are the words that were written; seen is set when a later write of
	// the same thing knew the word, and so replaced it on purpose.
	tokens map[string]*token
}

type heaven struct {
	branch                string
	head, pushed, fetched gitobj.ID
	history               *merge.History
}

type token struct {
	key, uid string
	seen     bool
	status   bool // it was said in a status, which a deletion takes along without a record
}

func newWorld(t *rapid.T, n int) *world {
	t.Helper()
	w := &world{store: newStore(), tokens: map[string]*token{}}
	w.history = merge.NewHistory(w)
	start := map[string][]byte{}
	for i := range n { // things that only one heaven writes, and one in which each has its own field
		start[fmt.Sprintf("/own/%d", i)] = w.object("own", map[string]any{"v": ""})
	}
	start["/shared"] = w.object("shared", map[string]any{"v": ""})
	w.main = w.commit(w.edit(t, gitobj.Zero, start), 0)
	for i := range n {
		w.heavens = append(w.heavens, &heaven{
			branch: fmt.Sprintf("heavens/%d", i), head: w.main, pushed: w.main, fetched: w.main, history: merge.NewHistory(w),
		})
	}
	return w
}

// object returns a new object; no two have the same uid.
func (w *world) object(uid string, data map[string]any) []byte {
	out, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"uid": uid, "creationTimestamp": time.Unix(int64(w.clock), 0).UTC().Format(time.RFC3339)},
		"data":     data,
	})
	if err != nil {
		return nil
	}
	return out
}

// write makes one write in a heaven, and keeps account of its words.
func (w *world) write(t *rapid.T, who *heaven) {
	t.Helper()
	w.clock++
	word := fmt.Sprintf("word-%d-", w.clock)
	i := slices.Index(w.heavens, who)
	tree := w.tree(t, who.head)
	have := w.values(t, tree)
	keys := []string{"/k/a", "/k/b", "/k", "/own/" + fmt.Sprint(i), "/shared"}
	key := rapid.SampledFrom(keys).Draw(t, "key")
	var o map[string]any
	if have[key] != nil {
		if err := json.Unmarshal(have[key], &o); err != nil {
			t.Fatal(err)
		}
	}
	kind := rapid.IntRange(0, 4).Draw(t, "write")
	switch {
	case key == "/shared":
		o = w.say(o, key, word, false, "data", fmt.Sprintf("field-%d", i))
	case strings.HasPrefix(key, "/own/"):
		o = w.say(o, key, word, false, "data", "v")
	case o == nil || kind == 0: // create, or delete and create anew
		w.see(have[key])
		uid := fmt.Sprintf("uid-%d-", w.clock)
		if err := json.Unmarshal(w.object(uid, map[string]any{"v": word}), &o); err != nil {
			t.Fatal(err)
		}
		w.tokens[word] = &token{key: key, uid: uid}
	case kind == 1:
		w.see(have[key])
		o = nil
	case kind == 2:
		o = w.say(o, key, word, true, "status", "phase")
	default:
		o = w.say(o, key, word, false, "data", rapid.SampledFrom([]string{"v", "x", "y"}).Draw(t, "field"))
	}
	value := encode(t, o)
	who.head = w.commit(w.edit(t, tree, map[string][]byte{key: value}), w.clock, who.head)
	t.Logf("%s writes %s = %s: %.7s", who.branch, key, value, who.head)
}

// say sets a field to a word, knowing the word that was there.
func (w *world) say(o map[string]any, key, word string, status bool, names ...string) map[string]any {
	if was, ok := o[names[0]].(map[string]any); ok {
		if said, ok := was[names[1]].(string); ok && w.tokens[said] != nil {
			w.tokens[said].seen = true
		}
	}
	meta, _ := o["metadata"].(map[string]any)
	uid, _ := meta["uid"].(string)
	w.tokens[word] = &token{key: key, uid: uid, status: status}
	return put(o, word, names...)
}

// see notes that everything in a value is replaced by somebody who knew it.
func (w *world) see(value []byte) {
	for word, tok := range w.tokens {
		if bytes.Contains(value, []byte(word)) {
			tok.seen = true
		}
	}
}

// hub merges what a heaven pushed into main.
func (w *world) hub(t *rapid.T, who *heaven) {
	t.Helper()
	w.main = w.merge(t, w.history, w.main, who.pushed, "main", who.branch)
}

// heaven merges what a heaven fetched into its head.
func (w *world) heaven(t *rapid.T, who *heaven) {
	t.Helper()
	who.head = w.merge(t, who.history, who.head, who.fetched, who.branch, "main")
}

func (w *world) merge(t *rapid.T, h *merge.History, ours, theirs gitobj.ID, our, their string) gitobj.ID {
	t.Helper()
	m, err := h.Merge(context.Background(), ours, theirs, w.settings.Policy(our, their, "main"))
	if err != nil {
		t.Fatal(err)
	}
	w.conflicts = append(w.conflicts, m.Conflicts...)
	switch m.Relation {
	case merge.Equal, merge.OursAhead:
		return ours
	case merge.TheirsAhead:
		if got := w.apply(t, w.tree(t, ours), m.Changes); got != w.tree(t, theirs) {
			t.Fatalf("fast-forward to %s gives another tree", theirs)
		}
		return theirs
	case merge.Diverged, merge.Unrelated:
	}
	tree := w.apply(t, w.tree(t, ours), m.Changes)
	other, err := merge.NewHistory(w).Merge(context.Background(), theirs, ours, w.settings.Policy(their, our, "main"))
	if err != nil {
		t.Fatal(err)
	}
	if swapped := w.apply(t, w.tree(t, theirs), other.Changes); swapped != tree {
		t.Fatalf("merge of %s and %s is not symmetric: %s", ours, theirs, cmp.Diff(w.values(t, tree), w.values(t, swapped)))
	}
	w.clock++
	commit := w.commit(tree, w.clock, ours, theirs)
	t.Logf("%s merges %.7s and %.7s of %s, bases %.7s: %.7s", our, ours, theirs, their, m.Bases, commit)
	for _, c := range m.Changes {
		t.Logf("  %s %s", c.Key, c.Rule)
	}
	for _, c := range m.Conflicts {
		t.Logf("  conflict %s%s: %s by %s", c.Key, c.Path, c.Branch, c.Why)
	}
	return commit
}

// settle lets everybody exchange until nothing moves.
func (w *world) settle(t *rapid.T) {
	t.Helper()
	for range 3 {
		for _, who := range w.heavens {
			who.pushed = who.head
			w.hub(t, who)
		}
		for _, who := range w.heavens {
			who.fetched = w.main
			w.heaven(t, who)
		}
	}
}

func (w *world) check(t *rapid.T) {
	t.Helper()
	for _, who := range w.heavens {
		if w.tree(t, who.head) != w.tree(t, w.main) {
			t.Fatalf("%s has another tree than main: %s", who.branch, cmp.Diff(w.values(t, w.tree(t, w.main)), w.values(t, w.tree(t, who.head))))
		}
	}
	final := w.values(t, w.tree(t, w.main))
	for _, c := range w.conflicts {
		if c.Key == "/shared" || strings.HasPrefix(c.Key, "/own/") {
			t.Fatalf("only one heaven writes %s%s, yet there is a conflict: %s (%s, %s, %s)", c.Key, c.Path, c.Why, c.Base.JSON, c.Ours.JSON, c.Theirs.JSON)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(w.tokens)) {
		tok := w.tokens[word]
		if tok.seen || bytes.Contains(final[tok.key], []byte(word)) || w.onRecord(tok, word) {
			continue
		}
		if tok.status && !bytes.Contains(final[tok.key], []byte(tok.uid)) {
			continue
		}
		t.Fatalf("%s of key %s is lost: the key has %s, conflicts are %v", word, tok.key, final[tok.key], w.conflicts)
	}
}

// onRecord says whether a word is in a conflict: in the field's values, or, if
// it is about the value as a whole, in a blob.
func (w *world) onRecord(tok *token, word string) bool {
	for _, c := range w.conflicts {
		if c.Key != tok.key {
			continue
		}
		for _, v := range []merge.Value{c.Ours, c.Theirs} {
			if bytes.Contains(v.JSON, []byte(word)) || c.Path == "" && bytes.Contains(w.objects[v.Blob].Data, []byte(word)) {
				return true
			}
		}
	}
	return false
}
