// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

func TestMerges(t *testing.T) {
	r := start(t, hub.Options{})
	a, b, c := r.author("heavens/a"), r.author("heavens/b"), r.author("nodes/c")
	a.commit(map[string]string{"/registry/x": "1", "/registry/y": "1"})
	a.mustPush()
	main := r.main("heavens/a")
	if main != a.head {
		t.Fatalf("main is %s, want the first branch, %s", main, a.head)
	}
	for _, v := range []*author{b, c} {
		v.take(main)
		v.commit(map[string]string{"/registry/" + v.name: "1"})
		v.mustPush()
	}
	a.commit(map[string]string{"/registry/x": "", "/registry/y": "2"})
	a.mustPush()
	main = r.main("heavens/a", "heavens/b", "nodes/c")
	want := map[string]string{"/registry/y": "2", "/registry/heavens/b": "1", "/registry/nodes/c": "1"}
	if got := r.keys(main); !maps.Equal(got, want) {
		t.Fatalf("main has %v, want %v", got, want)
	}
	b.take(main)
	b.commit(map[string]string{"/registry/z": "1"})
	b.mustPush()
	if main = r.main("heavens/b"); main != b.head {
		t.Fatalf("main is %s, want a fast-forward to %s", main, b.head)
	}
	s := r.hub.Status()
	if s.Conflicts != 0 || s.Branches[0].Epoch != 4 || s.Branches[0].Holder != "me" || s.Branches[0].LastPush == nil {
		t.Fatalf("status: %+v", s)
	}
}

// TestDeterministic pushes the same branches to two hubs, in two orders (law H5).
func TestDeterministic(t *testing.T) {
	var mains []gitobj.ID
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}} {
		j, err := journal.Open(t.Context(), &vfs.Mem{}, "hub", journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := serve(t, j, hub.Options{})
		first := r.author("heavens/a")
		first.commit(map[string]string{"/registry/x": "1"})
		first.mustPush()
		r.pass()
		base := r.main("heavens/a")
		authors := []*author{first, r.author("heavens/b"), r.author("nodes/c")}
		for i, v := range authors {
			v.take(base)
			v.second += int64(i)
			v.commit(map[string]string{fmt.Sprintf("/registry/%d", i): "1"})
		}
		for _, i := range order {
			authors[i].mustPush()
		}
		r.pass()
		mains = append(mains, r.main("heavens/a", "heavens/b", "nodes/c"))
	}
	if mains[0] != mains[1] {
		t.Fatalf("the same branches made main %s and %s", mains[0], mains[1])
	}
}

// TestConflictsAreKept shows law H4: both sides of a conflict are reachable, and a record says what was taken.
func TestConflictsAreKept(t *testing.T) {
	r := start(t, hub.Options{})
	a, b := r.author("heavens/a"), r.author("heavens/b")
	a.commit(map[string]string{"/registry/opaque": "base", "/registry/secrets/default/s": "base"})
	a.mustPush()
	b.take(r.main("heavens/a"))
	a.commit(map[string]string{"/registry/opaque": "by a", "/registry/secrets/default/s": "secret of a"})
	b.commit(map[string]string{"/registry/opaque": "by b", "/registry/secrets/default/s": "secret of b"})
	a.mustPush()
	r.main("heavens/a")
	b.mustPush()
	main := r.main("heavens/a", "heavens/b")
	if got := r.keys(main)["/registry/opaque"]; got != "by a" && got != "by b" {
		t.Fatalf("main has %q", got)
	}
	if parents := r.commit(main).Parents; !slices.Equal(parents, []gitobj.ID{a.head, b.head}) {
		t.Fatalf("main's parents are %v, want %v and %v", parents, a.head, b.head)
	}
	if n := r.hub.Status().Conflicts; n != 2 {
		t.Fatalf("%d conflicts, want 2", n)
	}
	conflicts, ok := r.journal.Ref(hub.Conflicts)
	if !ok {
		t.Fatal("there is no branch of conflicts")
	}
	found := 0
	for key, content := range r.keys(conflicts) {
		var file struct{ Key, Took, Why, Reason string }
		if err := json.Unmarshal([]byte(content), &file); err != nil || file.Took == "" || file.Why == "" || file.Reason == "" {
			t.Errorf("%s: %v\n%s", key, err, content)
		}
		if strings.Contains(content, "secret of") {
			t.Errorf("%s shows a secret:\n%s", key, content)
		}
		found++
	}
	if found != 2 {
		t.Errorf("%d records, want 2", found)
	}

	// What a heaven decided is filed as well.
	b.take(main)
	line := `"/registry/pods/default/p/12.json" {"key":"/registry/pods/default/p","took":"ours"}`
	b.second++
	who := gitobj.Signature{Name: "b", Email: "b", When: time.Unix(b.second, 0).UTC()}
	merge := gitobj.Commit{Tree: b.tree, Parents: []gitobj.ID{main}, Author: who, Committer: who, Message: "merge main\n\nConflicts: 1\nConflict: " + line + "\n\nEpoch: 1\n"}
	b.head = b.add(gitobj.KindCommit, merge.Encode())
	b.mustPush()
	r.main("heavens/b")
	conflicts, _ = r.journal.Ref(hub.Conflicts)
	if got := r.keys(conflicts)["/registry/pods/default/p/12.json"]; !strings.Contains(got, `"took":"ours"`) {
		t.Errorf("a heaven's conflict is filed as %q", got)
	}
}

// TestMayPush holds law H1.
func TestMayPush(t *testing.T) {
	r := start(t, hub.Options{})
	first := r.author("heavens/a")
	first.commit(map[string]string{"/registry/x": "1"})
	first.mustPush()
	r.main("heavens/a")
	for _, c := range []struct{ peer, ref, want string }{
		{"heavens/b", "refs/heads/heavens/b", ""},
		{"nodes/n", "refs/heads/nodes/n", ""},
		{"nodes/n", "refs/heads/fenced/nodes/n/3", ""},
		{"nodes/n", "refs/heads/main", "may push"},
		{"nodes/n", "refs/heads/conflicts", "may push"},
		{"nodes/n", "refs/heads/nodes/m", "may push"},
		{"nodes/n", "refs/heads/nodes/n/x", "may push"},
		{"nodes/n", "refs/heads/nodes/nn", "may push"},
		{"nodes/n", "refs/heads/fenced/nodes/nn/1", "may push"},
		{"nodes/n", "refs/heads/fenced/nodes/n/x", "epoch"},
		{"nodes/n", "refs/heads/fenced/nodes/n/01", "epoch"},
		{"nodes/n", "refs/heads/fenced/nodes/n/0", "epoch"},
		{"nodes/n", "refs/tags/v1", "may push"},
		{"nodes/n", "refs/heads/../heads/main", "bad ref name"},
		{hub.Admin, "refs/heads/main", "pushes nothing"},
		{hub.Admin, "refs/heads/heavens/a", "pushes nothing"},
		{"main", "refs/heads/main", "403"},
		{"heavens/a/b", "refs/heads/heavens/a/b", "403"},
		{"fenced/nodes/n", "refs/heads/fenced/nodes/n", "403"},
		{"heavens/", "refs/heads/heavens/", "403"},
		{"heavens/..", "refs/heads/heavens/..", "403"},
		{"", "refs/heads/main", "403"},
	} {
		a := r.author(c.peer)
		a.take(first.head)
		a.commit(map[string]string{"/registry/" + c.peer: "1"})
		err := a.pushTo(c.ref, gitobj.Zero, a.head)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q pushes %s: %v, want %q", c.peer, c.ref, err, c.want)
		}
	}
	if refs := r.journal.Refs("refs/"); len(refs) != 5 {
		t.Errorf("refs: %v", refs)
	}
}

// TestForwardOnly holds law H2.
func TestForwardOnly(t *testing.T) {
	r := start(t, hub.Options{})
	a := r.author("heavens/a")
	one := a.commit(map[string]string{"/registry/x": "1"})
	a.mustPush()
	two := a.commit(map[string]string{"/registry/x": "2"})
	a.mustPush()
	if err := a.pushTo("refs/heads/heavens/a", two, one); err == nil || !strings.Contains(err.Error(), hub.ErrNotForward.Error()) {
		t.Errorf("a push backwards: %v", err)
	}
	a.take(one)
	other := a.commit(map[string]string{"/registry/x": "3"})
	if err := a.pushTo("refs/heads/heavens/a", two, other); err == nil || !strings.Contains(err.Error(), hub.ErrNotForward.Error()) {
		t.Errorf("a push sideways: %v", err)
	}
	if err := a.pushTo("refs/heads/heavens/a", one, other); err == nil || !strings.Contains(err.Error(), "stale") {
		t.Errorf("a push from a stale value: %v", err)
	}
	if err := a.pushTo("refs/heads/heavens/a", gitobj.Zero, other); err == nil || !strings.Contains(err.Error(), "stale") {
		t.Errorf("a push to create what is there: %v", err)
	}
	if head, _ := r.journal.Ref("refs/heads/heavens/a"); head != two {
		t.Errorf("the branch is at %s, want %s", head, two)
	}
}

// TestGenesis lets main begin with one branch only.
func TestGenesis(t *testing.T) {
	r := start(t, hub.Options{Genesis: "heavens/z"})
	a, z := r.author("heavens/a"), r.author("heavens/z")
	a.commit(map[string]string{"/registry/a": "1"})
	a.mustPush()
	time.Sleep(20 * time.Millisecond)
	if s := r.hub.Status(); s.Main != "" || s.Branches[0].Merged == nil || *s.Branches[0].Merged || !strings.Contains(s.Branches[0].LastError, "heavens/z") {
		t.Fatalf("status: %+v", s)
	}
	z.commit(map[string]string{"/registry/z": "1"})
	z.mustPush()
	if got := r.keys(r.main("heavens/a", "heavens/z")); len(got) != 2 {
		t.Fatalf("main has %v", got)
	}
}

// TestBadApple holds law H6: a branch whose tree is not one of ours is set aside, the others go on.
func TestBadApple(t *testing.T) {
	r := start(t, hub.Options{})
	a, b := r.author("heavens/a"), r.author("heavens/b")
	a.commit(map[string]string{"/registry/x": "1"})
	a.mustPush()
	base := r.main("heavens/a")
	b.take(base)
	one := b.add(gitobj.KindBlob, []byte("1"))
	bad := gitobj.Tree{{Mode: gitobj.ModeFile, Name: "z z", ID: one}, {Mode: gitobj.ModeFile, Name: "z%20z", ID: one}} // two names for one key
	b.second++
	who := gitobj.Signature{Name: "b", Email: "b", When: time.Unix(b.second, 0).UTC()}
	b.head = b.add(gitobj.KindCommit, gitobj.Commit{
		Tree: b.add(gitobj.KindTree, bad.Encode()), Parents: []gitobj.ID{base}, Author: who, Committer: who, Message: "bad\n",
	}.Encode())
	a.commit(map[string]string{"/registry/x": "2"})
	a.mustPush()
	r.main("heavens/a")
	b.mustPush()
	c := r.author("nodes/c")
	c.take(base)
	c.commit(map[string]string{"/registry/c": "1"})
	c.mustPush()
	if got := r.keys(r.main("heavens/a", "nodes/c")); got["/registry/x"] != "2" || got["/registry/c"] != "1" {
		t.Fatalf("main has %v", got)
	}
	for _, s := range r.hub.Status().Branches {
		if bad := s.Name == "heavens/b"; bad != (s.LastError != "") || bad == *s.Merged {
			t.Errorf("%+v", s)
		}
	}
}

// TestWatch holds law H8's better half: each change is told at once, and a new stream begins with what is.
func TestWatch(t *testing.T) {
	r := start(t, hub.Options{Heartbeat: 50 * time.Millisecond, Settings: merge.Settings{Owners: merge.OwnerRules{{Key: "/registry/x", Branch: "heavens/a"}}}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/watch?ref=refs/heads/main&ref=refs/heads/heavens/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: asPeer("nodes/n")}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() hub.Notice {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		var n hub.Notice
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := next(); n.Ref != "" || !strings.Contains(lines.Text(), `{"merge":{"owners":[{"key":"/registry/x"`) {
		t.Fatalf("the stream begins with %s, want how branches are merged", lines.Text())
	}
	for _, ref := range []string{"refs/heads/main", "refs/heads/heavens/a"} {
		if n := next(); n.Ref != ref || !n.ID.IsZero() {
			t.Fatalf("the stream begins with %+v", n)
		}
	}
	a := r.author("heavens/a")
	a.commit(map[string]string{"/registry/x": "1"})
	a.mustPush()
	seen := map[string]gitobj.ID{}
	for seen["refs/heads/main"] != a.head || seen["refs/heads/heavens/a"] != a.head {
		n := next()
		seen[n.Ref] = n.ID
	}
	for range 4 { // heartbeats repeat what is
		if n := next(); n.ID != a.head {
			t.Fatalf("a heartbeat says %+v", n)
		}
	}
}

// TestNobody shows that who has no name gets nothing.
func TestNobody(t *testing.T) {
	r := start(t, hub.Options{})
	for _, path := range []string{"/repo.git/info/refs?service=git-upload-pack", "/v1/watch", "/v1/status", "/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s answers %s", path, resp.Status)
		}
	}
}
