// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

const someSettings = `{
 "owners": [
  {"key": "/registry/deployments/", "path": ".spec.replicas", "branch": "heavens/hpa"},
  {"key": "/registry/minions/*", "path": ".status", "branch": ""}
 ],
 "branches": [
  {"branch": "heavens/a", "prefer": [{"key": "/registry/configmaps/", "path": ".data", "take": "ours"}, {"path": ".spec.paused", "take": "theirs"}]},
  {"branch": "nodes/*", "toMain": {"include": ["/registry/pods/*/x", "/registry/leases/"], "exclude": ["/registry/leases/kube-system/"]}}
 ]
}`

func settings(t *testing.T, text string) merge.Settings {
	t.Helper()
	var s merge.Settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSettings merges by settings, from both sides.
func TestSettings(t *testing.T) {
	s := settings(t, someSettings)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	const head = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"uid":"u"},`
	for _, c := range []struct {
		name, key, branch  string
		base, ours, theirs string
		want               string
		why                merge.Rule
	}{
		{
			"an owner that the settings name", "/registry/deployments/d/x", "heavens/hpa",
			`"spec":{"replicas":1}}`, `"spec":{"replicas":2}}`, `"spec":{"replicas":3}}`, `"spec":{"replicas":2}}`, merge.Owner,
		},
		{
			"a default that the settings lift", "/registry/minions/w1", "nodes/w1",
			`"status":{"x":1}}`, `"status":{"x":2}}`, `"status":{"x":3}}`, `"status":{"x":3}}`, merge.BranchOrder,
		},
		{
			"the branch's value is preferred", "/registry/configmaps/d/x", "heavens/a",
			`"data":{"x":"1"}}`, `"data":{"x":"2"}}`, `"data":{"x":"3"}}`, `"data":{"x":"2"}}`, merge.Preferred,
		},
		{
			"main's value is preferred", "/registry/deployments/d/x", "heavens/a",
			`"spec":{"paused":1}}`, `"spec":{"paused":2}}`, `"spec":{"paused":3}}`, `"spec":{"paused":3}}`, merge.Preferred,
		},
		{
			"another field is not", "/registry/configmaps/d/x", "heavens/a",
			`"other":{"x":"1"}}`, `"other":{"x":"2"}}`, `"other":{"x":"3"}}`, `"other":{"x":"3"}}`, merge.BranchOrder,
		},
		{
			"another branch's is not", "/registry/configmaps/d/x", "heavens/b",
			`"data":{"x":"1"}}`, `"data":{"x":"2"}}`, `"data":{"x":"3"}}`, `"data":{"x":"3"}}`, merge.BranchOrder,
		},
	} {
		base, ours, theirs := []byte(head+c.base), []byte(head+c.ours), []byte(head+c.theirs)
		r := merge.Object(c.key, base, ours, theirs, s.Policy(c.branch, "main", "main"))
		swapped := merge.Object(c.key, base, theirs, ours, s.Policy("main", c.branch, "main"))
		if diff := cmp.Diff(head+c.want, string(r.Value)); diff != "" || len(r.Conflicts) != 1 || r.Conflicts[0].Why != c.why {
			t.Errorf("%s: %s %v", c.name, diff, r.Conflicts)
		}
		if string(r.Value) != string(swapped.Value) {
			t.Errorf("%s: swapped: %s", c.name, swapped.Value)
		}
	}
}

// TestPreferOpaque prefers a side of what cannot be read, but no side to a deletion.
func TestPreferOpaque(t *testing.T) {
	s := settings(t, `{"branches": [{"branch": "heavens/a", "prefer": [{"take": "ours"}]}]}`)
	base, ours, theirs := []byte("k8s:enc:a"), []byte("k8s:enc:b"), []byte("k8s:enc:c")
	r := merge.Object("/registry/secrets/d/x", base, ours, theirs, s.Policy("heavens/a", "main", "main"))
	if r.Took != merge.Ours || r.Conflicts[0].Why != merge.Preferred {
		t.Errorf("took %s by %s", r.Took, r.Conflicts[0].Why)
	}
	if r = merge.Object("/registry/secrets/d/x", base, ours, nil, s.Policy("heavens/a", "main", "main")); !r.Deleted {
		t.Errorf("a deleted secret came back: %s", r.Value)
	}
}

func TestFilter(t *testing.T) {
	s := settings(t, someSettings)
	filter := s.Policy("main", "nodes/w1", "main").Filters
	if len(filter) != 1 || len(s.Policy("nodes/w1", "main", "main").Filters) != 0 || len(s.Policy("main", "heavens/a", "main").Filters) != 0 {
		t.Fatalf("filters %v", filter)
	}
	for key, held := range map[string]bool{
		"/registry/pods/d/x": false, "/registry/pods/d/y": true, "/registry/pods/d/x/z": true,
		"/registry/leases/kube-node-lease/w1": false, "/registry/leases/kube-system/k": true, "/registry/secrets/d/x": true,
	} {
		if filter[0].Holds(key) != held {
			t.Errorf("%s is held: %v", key, !held)
		}
	}
}

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		`{"owners":[{"key":"x","branch":"b"}]}`:                           "owners[0]",
		`{"owners":[{"key":"/x","branch":"nodes/*"}]}`:                    "has a *",
		`{"owners":[{"key":"/x","path":"spec","branch":"b"}]}`:            "begins with neither",
		`{"branches":[{"branch":""}]}`:                                    "branches[0]",
		`{"branches":[{"branch":"a","prefer":[{"take":"main"}]}]}`:        "prefer[0]",
		`{"branches":[{"branch":"a","toMain":{"exclude":["/a/*/b/*"]}}]}`: "at most one *",
	} {
		if err := settings(t, text).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
