// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
)

func podsOf(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("/registry/pods/default/p%03d", i)] = podJSON("", "", "Running", "")
	}
	return out
}

func gone(values map[string]string) map[string]string {
	out := map[string]string{}
	for key := range values {
		out[key] = ""
	}
	return out
}

var fifty = gate.Set{{
	Name: "careful", Branches: []string{"heavens/x"},
	Rates: []gate.Rate{{Name: "deletes", Keys: []string{"/registry/pods/*/*"}, Limit: 50, Per: gate.Duration(time.Minute)}},
}}

func TestRateHoldsAsAWhole(t *testing.T) {
	t.Parallel()
	pods := podsOf(51)
	w := newWorld(t, fifty, pods)
	v := w.ask("heavens/x", gone(pods))
	if len(v.Refusals) != 51 || len(v.Counts) != 0 {
		t.Fatalf("%d of 51 held, %v counted", len(v.Refusals), v.Counts)
	}
	r := v.Refusals[0]
	if r.Kind != gate.Held || r.Rate != "deletes" || !strings.Contains(r.Reason, "51 changes in 1m0s are beyond rate deletes, which is 50") {
		t.Errorf("%+v", r)
	}
	other := w.ask("heavens/x", map[string]string{"/registry/configmaps/default/a": "{}"})
	if len(other.Refusals) != 0 {
		t.Error("what the rate is not about is held, too")
	}
}

func TestRateIsASlidingWindow(t *testing.T) {
	t.Parallel()
	pods := podsOf(60)
	keys := slices.Sorted(maps.Keys(pods))
	w := newWorld(t, fifty, pods)
	some := func(from, to int) map[string]string {
		out := map[string]string{}
		for _, k := range keys[from:to] {
			out[k] = ""
		}
		return out
	}
	first := w.ask("heavens/x", some(0, 40))
	if len(first.Refusals) != 0 {
		t.Fatal("the first 40 are held")
	}
	if again := w.ask("heavens/x", some(0, 40)); len(again.Refusals) != 0 {
		t.Error("what was not durable counts") // a pass that failed is tried again
	}
	w.meter.Count(first.Counts)
	w.now = w.now.Add(59 * time.Second)
	if v := w.ask("heavens/x", some(40, 51)); len(v.Refusals) != 11 {
		t.Errorf("%d of 11 held after 40", len(v.Refusals))
	}
	if v := w.ask("heavens/x", some(40, 50)); len(v.Refusals) != 0 {
		t.Errorf("%d of 10 held after 40", len(v.Refusals))
	}
	w.now = w.now.Add(time.Second)
	if v := w.ask("heavens/x", some(40, 60)); len(v.Refusals) != 0 {
		t.Errorf("%d held a minute later", len(v.Refusals))
	}
	w.waits = func(gate, rate string) bool { return gate == "careful" && rate == "deletes" }
	if v := w.ask("heavens/x", some(40, 41)); len(v.Refusals) != 1 {
		t.Error("one goes on while others wait for a person")
	}
}

func TestADeletionCountsOnce(t *testing.T) {
	t.Parallel()
	pods := podsOf(2)
	keys := slices.Sorted(maps.Keys(pods))
	set := gate.Set{{Name: "g", Branches: []string{"*/*"}, Rates: []gate.Rate{{Name: "d", Limit: 0, Per: gate.Duration(time.Minute)}}}}
	w := newWorld(t, set, pods)
	mark := podJSON("", "", "Running", `,"deletionTimestamp":"2026-01-01T00:00:00Z"`)
	if v := w.ask("nodes/a", map[string]string{keys[0]: mark}); len(v.Refusals) != 1 {
		t.Error("a deletion that begins does not count")
	}
	w.set(map[string]string{keys[0]: mark})
	if v := w.ask("nodes/a", map[string]string{keys[0]: ""}); len(v.Refusals) != 0 {
		t.Error("a deletion that ends counts again")
	}
	if v := w.ask("nodes/a", map[string]string{keys[1]: strings.Replace(pods[keys[1]], `"u1"`, `"u2"`, 1)}); len(v.Refusals) != 1 {
		t.Error("an object that is replaced does not count as deleted")
	}
	if v := w.ask("nodes/a", map[string]string{keys[1]: podJSON("", "", "Failed", "")}); len(v.Refusals) != 0 {
		t.Error("an update counts as a deletion")
	}
}

// G2: an open gate reads nothing, and another one what has changed.
func TestByTheChange(t *testing.T) {
	t.Parallel()
	values := cluster()
	maps.Copy(values, podsOf(300))
	w := newWorld(t, gate.Defaults(frontDoor), values)
	w.reads = 0
	w.ask(frontDoor, map[string]string{podKey: ""})
	if w.reads != 0 {
		t.Errorf("an open gate read %d objects", w.reads)
	}
	status := map[string]string{podKey: podJSON("w1", "operator", "Running", "")}
	w.ask("nodes/w1", status) // the first time, it gets to know main
	w.reads = 0
	w.ask("nodes/w1", status)
	if w.reads > 3 {
		t.Errorf("a status read %d objects, main being the same", w.reads)
	}
	w.set(map[string]string{"/registry/pods/default/p000": ""})
	w.reads = 0
	w.ask("nodes/w1", status)
	if w.reads > 12 {
		t.Errorf("a status read %d objects after one change of main", w.reads)
	}
	w.reads = 0
	w.ask("heavens/other", map[string]string{"/registry/leases/a/b": "{}"})
	if w.reads > 1 {
		t.Errorf("a lease under a rate read %d objects", w.reads)
	}
}

// G4: a right counts from when main has it, and no longer than that.
func TestMainsWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gate.Defaults(frontDoor), cluster())
	change := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default","uid":"ux"},"data":{"a":"2"}}`
	v := w.ask("nodes/w3", map[string]string{
		"/registry/pods/default/mine":    podJSON("w3", "admin", "Running", ""),
		"/registry/configmaps/default/x": change,
	})
	if len(v.Refusals) != 2 {
		t.Errorf("a node binds a pod to itself and gets its rights: %+v", v.Refusals)
	}
	w.set(map[string]string{"/registry/pods/default/mine": podJSON("w3", "operator", "Running", "")})
	if why := w.reason("nodes/w3", "/registry/configmaps/default/x", change); why != "" {
		t.Errorf("refused though main has bound the pod: %s", why)
	}
	w.set(map[string]string{"/registry/rolebindings/default/operator": ""})
	if w.reason("nodes/w3", "/registry/configmaps/default/x", change) == "" {
		t.Error("goes on though main has taken the right away")
	}
}

func TestSetsAreData(t *testing.T) {
	t.Parallel()
	set := gate.Defaults(frontDoor)
	if err := set.Validate(); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var again gate.Set
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(again)
	if err != nil || string(back) != string(data) {
		t.Errorf("%v: after a round trip\n%s\nbefore\n%s", err, back, data)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	minute := gate.Duration(time.Minute)
	for _, c := range []struct {
		set  gate.Set
		says string
	}{
		{gate.Set{{Branches: []string{"a/*"}}}, "gates[0].name: is missing"},
		{gate.Set{{Name: "a", Branches: []string{"a"}}, {Name: "a", Branches: []string{"b"}}}, `gates[1].name: "a" is the name of another gate`},
		{gate.Set{{Name: "a"}}, "gates[0].branches: is empty"},
		{gate.Set{{Name: "a", Branches: []string{"refs/heads/a"}}}, "gates[0].branches[0]: is \"refs/heads/a\""},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rules: []gate.Rule{{Keys: []string{"registry"}}}}}, "gates[0].rules[0].keys[0]"},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rules: []gate.Rule{{Keys: []string{"/a/**/b"}}}}}, "gates[0].rules[0].keys[0]"},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rules: []gate.Rule{{Verbs: []gate.Verb{"patch"}}}}}, `is "patch"; write create, update or delete`},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rules: []gate.Rule{{Fields: []string{"status"}}}}}, "gates[0].rules[0].fields[0]"},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rules: []gate.Rule{{When: []string{"sunny"}}}}}, "write one of allocated, bound"},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rules: []gate.Rule{{RBAC: &gate.Subjects{}}}}}, "names nobody"},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rates: []gate.Rate{{Limit: -1}}}}, "gates[0].rates[0].per: is 0s"},
		{gate.Set{{Name: "a", Branches: []string{"a"}, Rates: []gate.Rate{{Name: "r", Per: minute}, {Name: "r", Per: minute}}}}, "gates[0].rates[1].name"},
	} {
		if err := c.set.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v\nwant %s", err, c.says)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, key string
		fits         bool
	}{
		{"/registry/pods/*/*", "/registry/pods/default/a", true},
		{"/registry/pods/*/*", "/registry/pods/default/a/b", false},
		{"/registry/pods/*/*", "/registry/pods/a", false},
		{"/registry/pods/**", "/registry/pods/default/a", true},
		{"/registry/pods/**", "/registry/podss/a", false},
		{"/registry/pods/**", "/registry/pods", false},
		{"/registry/minions/{name}", "/registry/minions/w1", true},
		{"/registry/minions/{name}", "/registry/minions/w11", false},
		{"/registry/leases/x/a-{name}-*", "/registry/leases/x/a-w1-w1-b", true},
		{"/registry/*.*/**", "/registry/example.org/a/b", true},
		{"/registry/*.*/**", "/registry/pods/a/b", false},
	} {
		set := gate.Set{{Name: "g", Branches: []string{"nodes/*"}, Rules: []gate.Rule{{Keys: []string{c.pattern}}}}}
		w := newWorld(t, set, nil)
		if got := w.reason("nodes/w1", c.key, "x") == ""; got != c.fits {
			t.Errorf("%s fits %s: %v", c.pattern, c.key, got)
		}
	}
}

// FuzzGate feeds keys, values and patterns of all kinds: nothing panics, a
// rule that names another key covers nothing, and verdicts repeat.
func FuzzGate(f *testing.F) {
	f.Add("/registry/pods/default/a", `{"metadata":{"uid":"a"}}`, `{"metadata":{"uid":"b"}}`, "/registry/*/**", ".a[b].c*")
	f.Add("/registry/example.org/a/b", `{"a":[{"type":"x"}]}`, `{"a":[{"type":"x"},{"type":"x"}]}`, "/**", "!.a")
	f.Add("compact_rev_key", "1", "2", "", "[")
	f.Fuzz(func(t *testing.T, key, before, after, pattern, field string) {
		if key == "" || key == "/" || strings.Contains(key, "\x00") || before == "" {
			t.Skip()
		}
		rules := []gate.Rule{{Keys: []string{pattern}, Fields: []string{field}}, {RBAC: &gate.Subjects{Users: []string{"u"}, Bindings: []string{"*"}}}}
		set := gate.Set{{Name: "g", Branches: []string{"nodes/*"}, Rules: rules, Rates: []gate.Rate{{Name: "r", Limit: 1, Per: 1}}}}
		_ = set.Validate()
		values := cluster()
		values[key] = before
		w := newWorld(t, set, values)
		first, second := w.reason("nodes/w1", key, after), w.reason("nodes/w1", key, after)
		if first != second {
			t.Errorf("%q, then %q", first, second)
		}
	})
}
