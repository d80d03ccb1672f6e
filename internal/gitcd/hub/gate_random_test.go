// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// Random histories: whatever nodes try, in whatever order it meets, what is
// theirs and nothing else of it is in main, and all trees are equal in the end.
func TestGatesOnRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r, front, first := begun(t, map[string]string{"/shared/x": `{"spec":0,"status":0}`, "/own/a/k": "0", "/own/b/k": "0"})
		second := r.author("nodes/b")
		second.take(first.head)
		all := []*author{front, first, second}
		for range 40 {
			a := all[rnd.IntN(3)]
			switch rnd.IntN(3) {
			case 0:
				n := rnd.IntN(1000)
				by := strings.TrimPrefix(strings.TrimPrefix(a.name, "nodes/"), "heavens/")
				keys := map[string]string{
					"/shared/x":  fmt.Sprintf(`{"spec":%q,"status":%d}`, by, n),
					"/own/a/k":   fmt.Sprintf("%s-%d", by, n),
					"/own/b/k":   fmt.Sprintf("%s-%d", by, n),
					"/own/a/new": []string{"", by}[rnd.IntN(2)],
					"/own/b/new": []string{"", by}[rnd.IntN(2)],
				}
				for key := range maps.Clone(keys) {
					if rnd.IntN(2) == 0 {
						delete(keys, key)
					}
				}
				a.commit(keys)
			case 1:
				if a.head != a.pushed {
					a.mustPush()
				}
			case 2:
				a.merged(r.main())
			}
			if rnd.IntN(2) == 0 {
				checkMain(t, seed, r.keys(r.main()))
			}
		}
		for range 6 { // writes stop
			for _, a := range all {
				if a.head != a.pushed {
					a.mustPush()
				}
				a.merged(r.main(a.name))
			}
		}
		main := r.main()
		checkMain(t, seed, r.keys(main))
		for _, a := range all {
			if a.tree != r.commit(main).Tree {
				t.Fatalf("seed %d: %s has %v\nmain has %v", seed, a.name, r.keys(a.head), r.keys(main))
			}
		}
	}
}

// checkMain finds traces of the nodes in what is not theirs.
func checkMain(t *testing.T, seed uint64, main map[string]string) {
	t.Helper()
	for key, foe := range map[string]string{"/own/a/k": "b-", "/own/b/k": "a-"} {
		if strings.HasPrefix(main[key], foe) {
			t.Fatalf("seed %d: main has %s = %s", seed, key, main[key])
		}
	}
	if main["/own/a/new"] == "b" || main["/own/b/new"] == "a" {
		t.Fatalf("seed %d: main has %v", seed, main)
	}
	var shared struct{ Spec any }
	if err := json.Unmarshal([]byte(main["/shared/x"]), &shared); err != nil {
		t.Fatal(err)
	}
	if shared.Spec == "a" || shared.Spec == "b" {
		t.Fatalf("seed %d: main has %s", seed, main["/shared/x"])
	}
}
