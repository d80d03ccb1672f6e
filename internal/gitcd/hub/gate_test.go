// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// ownOnly lets nodes change what is theirs, and what is shared by its status.
var ownOnly = gate.Set{{
	Name: "own", Branches: []string{"nodes/*"},
	Rules: []gate.Rule{
		{Keys: []string{"/own/{name}/**"}},
		{Keys: []string{"/shared/**"}, Verbs: []gate.Verb{gate.Update}, Fields: []string{".status"}},
		{Keys: []string{"/many/**"}},
	},
	Rates: []gate.Rate{{Name: "few", Keys: []string{"/many/**"}, Limit: 2, Per: gate.Duration(time.Hour)}},
}}

func gatedOptions() hub.Options {
	return hub.Options{Gates: ownOnly, Approvers: []string{"heavens/front"}}
}

// begun is a hub whose main has some keys, by a branch that may everything, and a node that has them, too.
func begun(t *testing.T, keys map[string]string) (*rig, *author, *author) {
	t.Helper()
	r := start(t, gatedOptions())
	front := r.author("heavens/front")
	front.commit(keys)
	front.mustPush()
	main := r.main("heavens/front")
	node := r.author("nodes/a")
	node.take(main)
	return r, front, node
}

// merged merges main into an author's branch, as a heaven does, and returns the tree.
func (a *author) merged(main gitobj.ID) gitobj.ID {
	a.rig.t.Helper()
	return a.mergedBy(main, merge.Policy{Ours: a.name, Theirs: "main", Integrator: "main"})
}

// mergedBy does so under a policy.
func (a *author) mergedBy(main gitobj.ID, p merge.Policy) gitobj.ID {
	a.rig.t.Helper()
	ctx := a.rig.t.Context()
	m, err := merge.NewHistory(a).Merge(ctx, a.head, main, p)
	if err != nil {
		a.rig.t.Fatal(err)
	}
	switch m.Relation {
	case merge.Equal, merge.OursAhead:
		return a.tree
	case merge.TheirsAhead:
		a.take(main)
		return a.tree
	case merge.Diverged, merge.Unrelated:
	}
	emit := func(o treeedit.Object) error { a.add(o.Kind, o.Data); return nil }
	tree, err := merge.Apply(ctx, treeedit.New(a, a.tree), m.Changes, emit)
	if err != nil {
		a.rig.t.Fatal(err)
	}
	a.tree = tree
	a.commit(nil, a.head, main)
	return a.tree
}

func (r *rig) quarantine() hub.QuarantineStatus { return r.hub.Status().Quarantine }

// decide sends a decision, and returns the answer's status and text.
func (r *rig) decide(as string, what hub.Ruling) (int, string) {
	r.t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/quarantine", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: asPeer(as)}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// What is outside never reaches main, the rest flows on, and the branch gets main's value back.
func TestOutsideStaysOutAndTheRestFlows(t *testing.T) {
	t.Parallel()
	was := map[string]string{"/shared/x": `{"spec":1,"status":1}`, "/shared/gone": `{"spec":1}`, "/own/a/y": "1"}
	for name, ahead := range map[string]bool{"main has moved": false, "main could move to the branch": true} {
		t.Run(name, func(t *testing.T) {
			r, front, node := begun(t, was)
			node.commit(map[string]string{
				"/own/a/y": "2", "/own/b/z": "1", "/shared/x": `{"spec":2,"status":2}`, "/shared/gone": "", "/own/a/new": "1",
			})
			if !ahead {
				front.commit(map[string]string{"/own/front": "1"})
				front.mustPush()
				r.main("heavens/front")
			}
			node.mustPush()
			main := r.main("nodes/a")
			want := map[string]string{"/own/a/y": "2", "/own/a/new": "1", "/shared/x": was["/shared/x"], "/shared/gone": was["/shared/gone"]}
			if !ahead {
				want["/own/front"] = "1"
			}
			if got := r.keys(main); !maps.Equal(got, want) {
				t.Errorf("main has %v\nwant %v", got, want)
			}
			if tree := node.merged(main); tree != r.commit(main).Tree {
				t.Errorf("after merging main the branch has %v", r.keys(node.head))
			}
			q := r.quarantine()
			var got []string
			for _, e := range q.Entries {
				got = append(got, string(e.Verb)+" "+e.Key)
			}
			slices.Sort(got)
			if want := []string{"create /own/b/z", "delete /shared/gone", "update /shared/x"}; !slices.Equal(got, want) || q.Waiting != 3 || q.Total != 3 {
				t.Errorf("in quarantine %v of %d\nwant %v", got, q.Total, want)
			}
			if b := r.hub.Status().Branches; b[1].Quarantined != 3 {
				t.Errorf("%+v", b[1])
			}
		})
	}
}

// Nothing is lost: both values and who, what, why and since are on the branch of quarantine, after a restart, too.
func TestQuarantineKeepsEverything(t *testing.T) {
	t.Parallel()
	fs := &vfs.Mem{}
	j, err := journal.Open(t.Context(), fs, "hub", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, j, gatedOptions())
	front, node := r.author("heavens/front"), r.author("nodes/a")
	front.commit(map[string]string{"/shared/x": `{"spec":1}`})
	front.mustPush()
	r.pass()
	main, _ := j.Ref("refs/heads/main")
	node.take(main)
	bad := node.commit(map[string]string{"/shared/x": `{"spec":2}`})
	node.mustPush()
	r.pass()
	head, ok := j.Ref("refs/heads/quarantine/nodes/a")
	if !ok {
		t.Fatal("no branch of quarantine")
	}
	keys := r.keys(head)
	if keys["/old/shared/x"] != `{"spec":1}` || keys["/new/shared/x"] != `{"spec":2}` {
		t.Errorf("values: %v", keys)
	}
	var record hub.Quarantined
	if err := json.Unmarshal([]byte(keys["/records/shared/x"]), &record); err != nil {
		t.Fatal(err)
	}
	if record.Branch != "nodes/a" || record.Commit != bad || record.Reason != "nodes/a may not change field .spec (gate own)" || record.Since.IsZero() || record.Kind != gate.Outside {
		t.Errorf("%+v", record)
	}
	again := hub.New(j, gatedOptions()).Status().Quarantine
	if again.Waiting != 1 || again.Total != 1 || again.Entries[0].ID != record.ID {
		t.Errorf("after a restart: %+v", again)
	}
}

// The same thing tried again is the same entry, and no commit more on its branch.
func TestTryingAgain(t *testing.T) {
	t.Parallel()
	r, _, node := begun(t, map[string]string{"/shared/x": `{"spec":1}`})
	var first gitobj.ID
	for i := range 4 {
		node.commit(map[string]string{"/shared/x": fmt.Sprintf(`{"spec":%d}`, 2+i/3)}) // the last one is new
		node.mustPush()
		node.merged(r.main("nodes/a"))
		head, _ := r.journal.Ref("refs/heads/quarantine/nodes/a")
		switch {
		case i == 0:
			first = head
		case (head == first) != (i < 3):
			t.Errorf("attempt %d: the branch of quarantine moved: %v", i+1, head != first)
		}
	}
	q := r.quarantine()
	if len(q.Entries) != 1 || q.Entries[0].Attempts != 4 || q.Total != 1 || q.Refused[0].Count != 4 {
		t.Errorf("%+v", q)
	}
}

func TestApprove(t *testing.T) {
	t.Parallel()
	r, front, node := begun(t, map[string]string{"/shared/x": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"u"},"a":1,"b":1,"c":1}`})
	node.commit(map[string]string{"/shared/x": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"u"},"a":2,"b":2,"c":1}`, "/own/b/z": "1"})
	node.mustPush()
	node.merged(r.main("nodes/a"))
	front.merged(r.main("nodes/a"))
	front.commit(map[string]string{"/shared/x": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"u"},"a":1,"b":3,"c":3}`}) // main goes on meanwhile
	front.mustPush()
	r.main("heavens/front")
	if code, text := r.decide("nodes/a", hub.Ruling{Action: hub.Approve, Branch: "nodes/a", All: true}); code != http.StatusForbidden {
		t.Errorf("a node approves its own: %d %s", code, text)
	}
	if code, text := r.decide("heavens/front", hub.Ruling{Action: hub.Approve, Branch: "nodes/a", Keys: []string{"/other"}}); code != http.StatusNotFound {
		t.Errorf("%d %s", code, text)
	}
	if code, text := r.decide("heavens/front", hub.Ruling{Action: hub.Approve, Branch: "nodes/a", Keys: []string{"/shared/x"}, Reason: "planned"}); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	main := r.main()
	if got, want := r.keys(main)["/shared/x"], `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"u"},"a":2,"b":2,"c":3}`; got != want {
		t.Errorf("main has %s\nwant %s", got, want)
	}
	if got := r.keys(main)["/own/b/z"]; got != "" {
		t.Error("what was not approved is in main")
	}
	c := r.commit(main)
	if by, _ := c.Trailer("Approved-By"); by != "heavens/front" || !strings.Contains(c.Message, "Reason: planned") || !strings.Contains(c.Message, "update /shared/x") {
		t.Errorf("the commit says %q", c.Message)
	}
	if node.merged(main) != c.Tree || front.merged(main) != c.Tree {
		t.Error("trees differ afterwards")
	}
	if q := r.quarantine(); q.Waiting != 1 || q.Entries[0].Key != "/own/b/z" {
		t.Errorf("%+v", q)
	}
}

func TestRateWaitsForAPerson(t *testing.T) {
	t.Parallel()
	many := map[string]string{"/own/a/x": "1"}
	gone := map[string]string{}
	for i := range 5 {
		many[fmt.Sprintf("/many/%d", i)] = fmt.Sprintf(`{"metadata":{"uid":"%d"}}`, i)
		gone[fmt.Sprintf("/many/%d", i)] = ""
	}
	r, front, node := begun(t, many)
	gone["/own/a/x"] = "2"
	node.commit(gone)
	node.mustPush()
	main := r.main("nodes/a")
	if got := r.keys(main); len(got) != 6 || got["/own/a/x"] != "2" {
		t.Errorf("main has %v", got)
	}
	if node.merged(main) != r.commit(main).Tree {
		t.Error("the branch has not got back what is held")
	}
	node.commit(map[string]string{"/many/0": ""}) // one alone would be within the rate
	node.mustPush()
	node.merged(r.main("nodes/a"))
	if got := r.keys(r.main()); len(got) != 6 {
		t.Errorf("one more goes on while others wait: %v", got)
	}
	if code, text := r.decide(hub.Admin, hub.Ruling{Action: hub.Reject, Branch: "nodes/a", Keys: []string{"/many/0"}, Reason: "no"}); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := r.decide(hub.Admin, hub.Ruling{Action: hub.Approve, Branch: "nodes/a", All: true}); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if got := r.keys(r.main()); len(got) != 2 || got["/many/0"] == "" {
		t.Errorf("after the decisions main has %v", got)
	}
	node.merged(r.main())
	node.commit(map[string]string{"/many/0": ""})
	node.mustPush()
	main = r.main("nodes/a")
	if got := r.keys(main)["/many/0"]; got == "" {
		t.Error("what was rejected comes through when it is tried again")
	}
	q := r.quarantine()
	if q.Waiting != 0 || q.Rejected != 1 || q.Entries[0].By != hub.Admin || q.Entries[0].Why != "no" {
		t.Errorf("%+v", q)
	}
	front.merged(main)
	front.commit(map[string]string{"/many/0": ""})
	front.mustPush()
	main = r.main("heavens/front")
	if q := r.quarantine(); len(q.Entries) != 0 {
		t.Errorf("main has overtaken it, and it is still there: %+v", q.Entries[0])
	}
	node.merged(main)
	node.merged(main)
	if node.tree != r.commit(main).Tree {
		t.Error("trees differ afterwards")
	}
}

// A branch that has nothing outside costs nothing, and main holds its own commit.
func TestInsideIsUntouched(t *testing.T) {
	t.Parallel()
	r, _, node := begun(t, map[string]string{"/own/a/x": "1"})
	head := node.commit(map[string]string{"/own/a/x": "2"})
	node.mustPush()
	if main := r.main("nodes/a"); main != head {
		t.Errorf("main is at %s, not at the branch's head", main)
	}
}

// A branch that tries without end fills neither memory nor tree, and still nothing of it is lost.
func TestQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(t.Context(), &vfs.Mem{}, "hub", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, j, gatedOptions())
	r.hub.KeepAtMost(3)
	front, node := r.author("heavens/front"), r.author("nodes/a")
	front.commit(map[string]string{"/own/a/x": "1"})
	front.mustPush()
	r.pass()
	main, _ := j.Ref("refs/heads/main")
	node.take(main)
	many := map[string]string{"/own/a/x": "2"}
	for i := range 10 {
		many[fmt.Sprintf("/own/b/%d", i)] = "bad"
	}
	bad := node.commit(many)
	node.mustPush()
	r.pass()
	main, _ = j.Ref("refs/heads/main")
	if got, want := r.keys(main), map[string]string{"/own/a/x": "2"}; !maps.Equal(got, want) {
		t.Errorf("main has %v", got)
	}
	q := r.quarantine()
	if len(q.Entries) != 3 || q.Refused[0].Count != 10 {
		t.Errorf("%d entries, %+v", len(q.Entries), q.Refused)
	}
	head, _ := j.Ref("refs/heads/quarantine/nodes/a")
	c := r.commit(head)
	if n, _ := c.Trailer("Unlisted"); n != "7" || !slices.Contains(c.Parents, bad) {
		t.Errorf("the commit of quarantine has parents %v and says %q", c.Parents, c.Message)
	}
}

// What a fenced writer left behind is judged as its branch.
func TestFencedIsGated(t *testing.T) {
	t.Parallel()
	r, _, node := begun(t, map[string]string{"/own/a/x": "1"})
	head := node.commit(map[string]string{"/own/a/x": "2", "/own/b/x": "2"})
	if err := node.pushTo("refs/heads/fenced/nodes/a/3", gitobj.Zero, head); err != nil {
		t.Fatal(err)
	}
	main := r.main("fenced/nodes/a/3")
	if got, want := r.keys(main), map[string]string{"/own/a/x": "2"}; !maps.Equal(got, want) {
		t.Errorf("main has %v", got)
	}
	if q := r.quarantine(); q.Waiting != 1 || q.Entries[0].Branch != "nodes/a" {
		t.Errorf("%+v", q)
	}
}
