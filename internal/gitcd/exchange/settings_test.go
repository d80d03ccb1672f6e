// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// TestSettings lets the hub say how branches meet: what a filter leaves out stays in its heaven, and crosses
// once another hub lets it. The heavens run on meanwhile.
func TestSettings(t *testing.T) {
	const key = "/registry/configmaps/default/c"
	value := func(by string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"default","uid":"1"},"data":{"by":%q}}`, by)
	}
	h := startHub(t)
	merges := func(s merge.Settings) {
		h.halt()
		h.o.Settings = s
		h.start()
	}
	merges(merge.Settings{Branches: []merge.BranchSettings{{
		Branch: "heavens/scheduler", ToMain: merge.Filter{Exclude: []string{"/registry/private/"}},
		Prefer: []merge.Preference{{Key: key, Path: ".data", Take: merge.Ours}},
	}}})
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put(key, value("base"))
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	settled(t, h, a, b)

	b.put("/registry/private/x", "b's own")
	b.put("/registry/public/x", "for all")
	eventually(t, "a has what may cross", func() bool { return a.get("/registry/public/x") == "for all" })
	a.put("/registry/public/y", "back")
	eventually(t, "b has it, too", func() bool { return b.get("/registry/public/y") == "back" })
	if a.get("/registry/private/x") != "" || b.get("/registry/private/x") != "b's own" {
		t.Fatalf("what the filter leaves out: a has %q, b %q", a.get("/registry/private/x"), b.get("/registry/private/x"))
	}

	// Both ends go by the preference: the heaven, which only heard of it, and the hub.
	b.link.sever()
	a.put(key, value("a"))
	b.put(key, value("b"))
	eventually(t, "main has a's value", func() bool { return !a.exchange.Status().Unpushed })
	b.link.mend()
	eventually(t, "b's word stands everywhere", func() bool {
		return a.get(key) == value("b") && b.get(key) == value("b")
	})

	merges(merge.Settings{})
	eventually(t, "what was held back crosses", func() bool { return a.get("/registry/private/x") == "b's own" })
	settled(t, h, a, b)
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestLiftedFilter lets a heaven have what its filter left out as soon as the hub says that the filter is no more: nobody
// writes anything, and main stays where it is.
func TestLiftedFilter(t *testing.T) {
	const key = "/registry/secrets/default/s"
	h := startHub(t)
	h.halt()
	h.o.Settings = merge.Settings{Branches: []merge.BranchSettings{{
		Branch: "heavens/scheduler", FromMain: merge.Filter{Exclude: []string{"/registry/secrets/"}},
	}}}
	h.start()
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/start", "1")
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	settled(t, h, a, b)
	a.put(key, "a's own")
	a.put("/registry/public/z", "for all")
	eventually(t, "b has what it takes", func() bool { return b.get("/registry/public/z") == "for all" })
	if got := b.get(key); got != "" {
		t.Fatalf("the filter lets %q in", got)
	}
	h.halt()
	h.o.Settings = merge.Settings{}
	h.start()
	eventually(t, "b has what its filter left out", func() bool { return b.get(key) == "a's own" })
	settled(t, h, a, b)
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}
