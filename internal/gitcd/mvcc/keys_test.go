// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// moved puts the keys below /registry/ into a directory.
type moved string

func (d moved) Tree(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, "/registry/")
	return string(d) + rest, ok
}

func (d moved) Key(tree string) (string, bool) {
	rest, ok := strings.CutPrefix(tree, string(d))
	return "/registry/" + rest, ok
}

func (d moved) String() string { return string(d) }

// treeOf returns the keys of a commit's tree, with their values' blobs.
func treeOf(t *testing.T, log mvcc.Log, head gitobj.ID) map[string]gitobj.ID {
	t.Helper()
	_, data, err := log.Get(head)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := gitobj.DecodeCommit(data)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]gitobj.ID{}
	err = treeedit.Walk(t.Context(), log, commit.Tree, func(key string, blob gitobj.ID) error {
		out[key] = blob
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func has(t *testing.T, tree map[string]gitobj.ID, want ...string) {
	t.Helper()
	for _, key := range want {
		if _, ok := tree[key]; !ok {
			t.Errorf("%s is not in the tree", key)
		}
	}
	if len(tree) != len(want) {
		t.Errorf("the tree has %d keys, want %v: %v", len(tree), want, tree)
	}
}

func TestKeysLieElsewhere(t *testing.T) {
	log := &mvcc.MemLog{}
	s := open(t, log, mvcc.Options{Branch: branch})
	do(t, s, put("/green/x", "1")) // there before, and not served from then on
	flush(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := mvcc.Options{Branch: branch, Keys: moved("/blue/")}
	s = open(t, log, o)
	if n := s.Status().Keys; n != 0 {
		t.Fatalf("%d keys are served", n)
	}
	at := s.Revision()
	if _, err := s.Txn(t.Context(), put("/other/a", "1")); !errors.Is(err, mvcc.ErrNoPlace) || !strings.Contains(err.Error(), "/blue/") {
		t.Errorf("a key outside: %v", err)
	}
	do(t, s, put("/registry/a", "1"), put("/registry/a/b", "2"), put("/registry/b", "3"), put("compact_rev_key", "7"))
	head := flush(t, s)
	has(t, treeOf(t, log, head), "/green/x", "/blue/a", "/blue/a/b", "/blue/b")
	for round := range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = open(t, log, o)
		if s.Revision() != at+4 || get(t, s, "/registry/a/b", 0) != "2" || get(t, s, "/registry/a", at+1) != "1" || get(t, s, "compact_rev_key", 0) != "7" {
			t.Errorf("restart %d: revision %d", round, s.Revision())
		}
	}
	// A merge brings what is served, and what is not.
	view, err := s.MergeView(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs := commitOn(t, log, head, map[string]string{"/green/x": "2", "/blue/a": "2"})
	if _, err := s.Txn(t.Context(), put("/registry/c", "4")); err != nil { // so that it is no fast-forward
		t.Fatal(err)
	}
	_, err = s.Merge(t.Context(), mvcc.Merge{Theirs: theirs, Base: head, Message: "merge", Changes: []mvcc.KeyChange{
		{Key: "/green/x", Value: []byte("2")}, {Key: "/blue/a", Expect: view.ModRevision("/blue/a"), Value: []byte("2")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	head = flush(t, s)
	tree := treeOf(t, log, head)
	has(t, tree, "/green/x", "/blue/a", "/blue/a/b", "/blue/b", "/blue/c")
	if want := gitobj.Hash(gitobj.KindBlob, []byte("2")); tree["/green/x"] != want || tree["/blue/a"] != want || get(t, s, "/registry/a", 0) != "2" {
		t.Errorf("after the merge: %v", tree)
	}
	last := s.Revision()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := mvcc.Open(t.Context(), log, mvcc.Options{Branch: branch}); !errors.Is(err, mvcc.ErrOtherKeys) || !strings.Contains(err.Error(), "/blue/") {
		t.Errorf("opened without knowing where keys lie: %v", err)
	}
	// Other keys are another store, above the old one.
	o.Keys = moved("/green/")
	s = open(t, log, o)
	if get(t, s, "/registry/x", 0) != "2" || s.Revision() != last+1 || s.CompactRevision() != last+1 {
		t.Errorf("%q at revision %d, compacted %d, was at %d", get(t, s, "/registry/x", 0), s.Revision(), s.CompactRevision(), last)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// commitOn puts a commit on a head, as another writer would.
func commitOn(t *testing.T, log mvcc.Log, head gitobj.ID, puts map[string]string) gitobj.ID {
	t.Helper()
	var base gitobj.Commit
	if !head.IsZero() {
		_, data, err := log.Get(head)
		if err != nil {
			t.Fatal(err)
		}
		if base, err = gitobj.DecodeCommit(data); err != nil {
			t.Fatal(err)
		}
	}
	e := treeedit.New(log, base.Tree)
	var frame mvcc.Frame
	for key, value := range puts {
		if value == "" {
			if err := e.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			continue
		}
		id := gitobj.Hash(gitobj.KindBlob, []byte(value))
		frame.Objects = append(frame.Objects, mvcc.Object{Kind: gitobj.KindBlob, ID: id, Data: []byte(value)})
		if err := e.Set(t.Context(), key, id); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := e.Write(t.Context(), func(o treeedit.Object) error {
		frame.Objects = append(frame.Objects, mvcc.Object{Kind: o.Kind, ID: o.ID, Data: o.Data})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	commit := gitobj.Commit{Tree: tree, Message: "others\n"}
	if !head.IsZero() {
		commit.Parents = []gitobj.ID{head}
	}
	data := commit.Encode()
	id := gitobj.Hash(gitobj.KindCommit, data)
	frame.Objects = append(frame.Objects, mvcc.Object{Kind: gitobj.KindCommit, ID: id, Data: data})
	if _, err := log.Append(t.Context(), []mvcc.Frame{frame}, true); err != nil {
		t.Fatal(err)
	}
	return id
}

func point(t *testing.T, log mvcc.Log, from, to gitobj.ID) {
	t.Helper()
	if _, err := log.Append(t.Context(), []mvcc.Frame{{Refs: []mvcc.RefUpdate{{Name: branch, Old: from, New: to}}}}, true); err != nil {
		t.Fatal(err)
	}
}

// TestStartOverHistory reads what was before the first revision.
func TestStartOverHistory(t *testing.T) {
	log := &mvcc.MemLog{}
	head := gitobj.Zero
	for i := range 10 {
		change := map[string]string{"/count": fmt.Sprint(i), fmt.Sprintf("/k%d", i): "x"}
		if i == 8 {
			change["/k3"] = ""
		}
		head = commitOn(t, log, head, change)
	}
	point(t, log, gitobj.Zero, head)
	o := mvcc.Options{Branch: branch, Start: mvcc.Start{Revision: 1000, History: 4}}
	s := open(t, log, o)
	// Commits 0 to 5 are the beginning: 7 keys, at 1000 to 1006. Each commit after changes two keys, and that of k3 three.
	if s.CompactRevision() != 1006 || s.Revision() != 1006+2+2+3+2 {
		t.Errorf("compacted %d, revision %d", s.CompactRevision(), s.Revision())
	}
	for rev, want := range map[int64]string{1006: "5", 1007: "6", 1009: "7", 1011: "8", 1014: "9"} {
		if got := get(t, s, "/count", rev); got != want {
			t.Errorf("/count is %q at %d, want %q", got, rev, want)
		}
	}
	if get(t, s, "/k3", 1011) != "x" || get(t, s, "/k3", 1015) != "" {
		t.Errorf("/k3 is %q, then %q", get(t, s, "/k3", 1011), get(t, s, "/k3", 1015))
	}
	do(t, s, put("/count", "10"))
	flush(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = open(t, log, mvcc.Options{Branch: branch})
	if get(t, s, "/count", 1009) != "7" || s.Revision() != 1016 {
		t.Errorf("after a restart: %q, revision %d", get(t, s, "/count", 1009), s.Revision())
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestFollow has others commit while nobody serves the branch.
func TestFollow(t *testing.T) {
	log := &mvcc.MemLog{}
	o := mvcc.Options{Branch: branch}
	s := open(t, log, o)
	do(t, s, put("/a", "1"), put("/b", "1"), put("/c", "1"))
	head := flush(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := commitOn(t, log, commitOn(t, log, head, map[string]string{"/a": "2"}), map[string]string{"/b": "", "/d": "1"})
	point(t, log, head, next)
	for round := range 2 {
		s = open(t, log, o)
		if s.Revision() != 4+3 || get(t, s, "/a", 0) != "2" || get(t, s, "/a", 4) != "1" || get(t, s, "/b", 0) != "" || get(t, s, "/d", 0) != "1" {
			t.Errorf("round %d: revision %d", round, s.Revision())
		}
		if round == 0 {
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	do(t, s, put("/a", "3"))
	head = flush(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	aside := commitOn(t, log, next, map[string]string{"/a": "4"})
	point(t, log, head, aside)
	if _, err := mvcc.Open(t.Context(), log, o); !errors.Is(err, mvcc.ErrForeignHead) || !strings.Contains(err.Error(), "git update-ref") {
		t.Errorf("a head that is not ahead: %v", err)
	}
}
