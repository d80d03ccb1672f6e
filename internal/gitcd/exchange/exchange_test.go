// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// TestTwoHeavens shows the straight path: what one heaven writes, the other reads.
func TestTwoHeavens(t *testing.T) {
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/pods/default/one", `{"kind":"Pod","n":1}`)
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	eventually(t, "the first write is in the second heaven", func() bool { return b.get("/registry/pods/default/one") != "" })
	b.put("/registry/pods/default/two", `{"kind":"Pod","n":2}`)
	eventually(t, "the second write is in the first heaven", func() bool { return a.get("/registry/pods/default/two") != "" })
	settled(t, h, a, b)
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestConflict lets two heavens write one opaque value while one is cut off.
// They agree in the end, and the value that was not taken is recorded, whoever met the conflict.
func TestConflict(t *testing.T) {
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/opaque", "base")
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	settled(t, h, a, b)
	b.link.sever()
	b.put("/registry/opaque", "by b")
	a.put("/registry/opaque", "by a")
	eventually(t, "main has the first write", func() bool { return !a.exchange.Status().Unpushed && h.status().Merges+h.status().Passes > 1 })
	b.link.mend()
	settled(t, h, a, b)
	if got := a.get("/registry/opaque"); got != b.get("/registry/opaque") || got != "by a" && got != "by b" {
		t.Fatalf("the heavens have %q and %q", got, b.get("/registry/opaque"))
	}
	if met := b.exchange.Status().Conflicts + h.status().Conflicts; met == 0 {
		t.Fatal("nobody has met a conflict")
	}
	eventually(t, "the conflict is filed at the hub", func() bool { _, ok := h.journal.Ref(hub.Conflicts); return ok })
	id, _ := h.journal.Ref(hub.Conflicts)
	found := false
	_, data, err := h.journal.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		t.Fatal(err)
	}
	err = treeedit.Walk(t.Context(), h.journal, c.Tree, func(key string, blob gitobj.ID) error {
		_, content, err := h.journal.Get(blob)
		if err != nil {
			return err
		}
		var file struct {
			Key          string
			Ours, Theirs struct{ Branch, Blob string }
		}
		if err := json.Unmarshal(content, &file); err != nil {
			return err
		}
		found = file.Key == "/registry/opaque" && strings.HasPrefix(key, "/registry/opaque/")
		for _, side := range []string{file.Ours.Blob, file.Theirs.Blob} {
			id, err := gitobj.ParseID(side)
			if err != nil || !h.journal.Has(id) {
				t.Errorf("a side of the conflict, %q, is not at the hub: %v", side, err)
			}
		}
		return nil
	})
	if err != nil || !found {
		t.Fatalf("the record is not there: %v", err)
	}
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}
