// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// rest returns a hub that does nothing by itself.
func rest(t *testing.T, o hub.Options) *rig {
	t.Helper()
	j, err := journal.Open(t.Context(), &vfs.Mem{}, "hub", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, j, o)
}

// begin makes main, and authors of branches from there.
func (r *rig) begin(keys map[string]string, names ...string) (authors []*author) {
	r.t.Helper()
	first := r.author("heavens/a")
	first.commit(keys)
	first.mustPush()
	r.pass()
	main := r.main("heavens/a")
	for _, name := range names {
		v := r.author(name)
		v.take(main)
		authors = append(authors, v)
	}
	return authors
}

// Many branches that were pushed at once are joined by one commit.
func TestManyInOne(t *testing.T) {
	r := rest(t, hub.Options{})
	nodes := r.begin(map[string]string{"/registry/x": "0"}, "nodes/b", "nodes/c", "nodes/d")
	want := map[string]string{"/registry/x": "0"}
	for _, v := range nodes {
		v.commit(map[string]string{"/registry/" + v.name: "1"})
		v.mustPush()
		want["/registry/"+v.name] = "1"
	}
	r.pass()
	main := r.main("nodes/b", "nodes/c", "nodes/d")
	c := r.commit(main)
	// nodes/b holds main, and becomes it; the others are joined to that.
	if len(c.Parents) != 3 || c.Parents[0] != nodes[0].head || c.Parents[1] != nodes[1].head || c.Parents[2] != nodes[2].head {
		t.Fatalf("main's parents are %v, want the branches in their order", c.Parents)
	}
	if want := "merge 2 branches into main\n\nnodes/c\nnodes/d\n"; c.Message != want {
		t.Fatalf("message is %q, want %q", c.Message, want)
	}
	if got := r.keys(main); !maps.Equal(got, want) {
		t.Fatalf("main has %v, want %v", got, want)
	}
}

// A branch with a conflict has a merge of its own: its record names commits that exist.
func TestConflictAlone(t *testing.T) {
	r := rest(t, hub.Options{})
	nodes := r.begin(map[string]string{"/registry/x": `{"a":0}`}, "nodes/b", "nodes/c", "nodes/d", "nodes/e", "nodes/f")
	for i, v := range nodes {
		keys := map[string]string{"/registry/" + v.name: "1"}
		if i == 0 || i == 2 {
			keys["/registry/x"] = fmt.Sprintf(`{"a":%d}`, i+1)
		}
		v.commit(keys)
		v.mustPush()
	}
	r.pass()
	main := r.main("nodes/b", "nodes/c", "nodes/d", "nodes/e", "nodes/f")
	last := r.commit(main)
	alone := r.commit(last.Parents[0])
	before := r.commit(alone.Parents[0])
	if len(last.Parents) != 3 || len(alone.Parents) != 2 || alone.Parents[1] != nodes[2].head || len(before.Parents) != 2 {
		t.Fatalf("main's parents are %v, those of the merge with a conflict %v, of the one before %v", last.Parents, alone.Parents, before.Parents)
	}
	id, ok := r.journal.Ref(hub.Conflicts)
	if !ok {
		t.Fatal("no conflict is on record")
	}
	for key, record := range r.keys(id) {
		if !strings.Contains(record, alone.Parents[0].String()) || !strings.Contains(record, nodes[2].head.String()) {
			t.Errorf("record %s names other commits: %s", key, record)
		}
	}
}

// Lazy pushes wait for each other, and go along with one that is not.
func TestLazyPushesWait(t *testing.T) {
	clk := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	r := rest(t, hub.Options{Clock: clk})
	nodes := r.begin(map[string]string{"/registry/x": "0"}, "nodes/b", "nodes/c", "nodes/d", "nodes/e")
	r.run()
	lazily := func(v *author) {
		t.Helper()
		v.commit(map[string]string{"/registry/leases/" + v.name: "1"})
		items, err := transport.Missing(t.Context(), v, []gitobj.ID{v.head}, nil)
		if err == nil {
			err = v.client.Push(t.Context(), v, []transport.Command{{Name: "refs/heads/" + v.name, New: v.head}}, items, hub.Lazy)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	before := r.hub.Status().Passes
	lazily(nodes[0])
	lazily(nodes[1])
	eventually(t, "the hub waits for company", clk.HasWaiters)
	if s := r.hub.Status(); s.Passes != before {
		t.Fatalf("%d passes for lazy pushes alone", s.Passes-before)
	}
	clk.Step(30 * time.Second)
	r.main("nodes/b", "nodes/c")
	lazily(nodes[2])
	nodes[3].commit(map[string]string{"/registry/y": "1"})
	nodes[3].mustPush()
	r.main("nodes/d", "nodes/e") // without another step of the clock
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}
