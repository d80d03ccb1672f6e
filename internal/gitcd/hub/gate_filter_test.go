// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// What a gate refuses is taken back in the branch, also where a filter holds all else back, and the branch prefers its own.
func TestTakenBackBehindAFilter(t *testing.T) {
	t.Parallel()
	o := gatedOptions()
	o.Gates = append(o.Gates, gate.Gate{Name: "all", Branches: []string{"*"}})
	o.Settings = merge.Settings{Branches: []merge.BranchSettings{{
		Branch: "nodes/a", ToMain: merge.Filter{Exclude: []string{"/own/a/held"}}, Prefer: []merge.Preference{{Take: merge.Ours}},
	}}}
	r := start(t, o)
	front := r.author("heavens/front")
	front.commit(map[string]string{"/shared/x": `{"spec":1}`})
	front.mustPush()
	node := r.author("nodes/a")
	node.take(r.main("heavens/front"))

	was := r.main()
	node.commit(map[string]string{"/own/a/held": "1", "/shared/x": `{"spec":2}`})
	node.mustPush()
	main := r.main("nodes/a")
	if got := r.keys(main); main == was || !maps.Equal(got, map[string]string{"/shared/x": `{"spec":1}`}) {
		t.Fatalf("main is at %s with %v: the branch hears nothing of what was taken back", main, got)
	}
	if tree := node.mergedBy(main, o.Settings.Policy("nodes/a", "main", "main")); tree == r.commit(main).Tree {
		t.Error("the branch lost what a filter holds")
	}
	node.mustPush()
	r.main("nodes/a")
	if got, want := r.keys(node.head), map[string]string{"/own/a/held": "1", "/shared/x": `{"spec":1}`}; !maps.Equal(got, want) {
		t.Errorf("after merging main the branch has %v\nwant %v", got, want)
	}
	if q := r.quarantine(); q.Waiting != 1 || q.Entries[0].Attempts != 1 {
		t.Errorf("%+v", q)
	}
}

// What is tried after a rejection is refused again if it is the same, and a new entry if it is another change.
func TestAnotherChangeAfterARejectionIsNew(t *testing.T) {
	t.Parallel()
	r, _, node := begun(t, map[string]string{"/shared/x": `{"spec":1}`})
	try := func(value string) hub.QuarantineStatus {
		node.commit(map[string]string{"/shared/x": value})
		node.mustPush()
		node.merged(r.main("nodes/a"))
		return r.quarantine()
	}
	try(`{"spec":2}`)
	if code, text := r.decide("heavens/front", hub.Ruling{Action: hub.Reject, Branch: "nodes/a", All: true}); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if q := try(`{"spec":2}`); q.Waiting != 0 || q.Rejected != 1 || q.Total != 1 || q.Entries[0].Attempts != 2 {
		t.Errorf("the same again: %+v", q)
	}
	if q := try(`{"spec":3}`); q.Waiting != 1 || q.Rejected != 0 || q.Total != 2 || q.Entries[0].Attempts != 1 {
		t.Errorf("another change: %+v", q)
	}
}
