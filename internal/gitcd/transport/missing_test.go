// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// randomHistory makes commits with several parents, trees that come back, and clocks that are wrong.
func randomHistory(m *memory, random *rand.Rand, n int) []gitobj.ID {
	var commits []gitobj.ID
	files := map[string]string{}
	for i := range 300 * random.IntN(2) { // every other history has a directory in which there are runs to pass over
		files[fmt.Sprintf("d0/e0/f%d", i)] = fmt.Sprint(i % 3)
	}
	for range n {
		for range 1 + random.IntN(2) {
			files[fmt.Sprintf("d%d/e%d/f%d", random.IntN(2), random.IntN(3), random.IntN(12)*(1+random.IntN(30)))] = fmt.Sprint(random.IntN(3))
		}
		var parents []gitobj.ID
		for range min(len(commits), random.IntN(3)) {
			parents = append(parents, commits[max(0, len(commits)-1-random.IntN(6))])
		}
		who := gitobj.Signature{Name: "t", Email: "t", When: time.Unix(1_700_000_000+random.Int64N(5), 0).UTC()}
		c := gitobj.Commit{Tree: m.tree(files), Parents: parents, Author: who, Committer: who, Message: fmt.Sprint(len(commits), random.Uint64())}
		commits = append(commits, m.put(gitobj.KindCommit, c.Encode()))
	}
	return commits
}

// closure adds what a commit reaches.
func (m *memory) closure(t *testing.T, id gitobj.ID, into *memory) {
	t.Helper()
	if into.Has(id) {
		return
	}
	kind, data, err := m.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	into.put(kind, data)
	switch kind {
	case gitobj.KindCommit:
		c, err := gitobj.DecodeCommit(data)
		if err != nil {
			t.Fatal(err)
		}
		m.closure(t, c.Tree, into)
		for _, p := range c.Parents {
			m.closure(t, p, into)
		}
	case gitobj.KindTree:
		tree, err := gitobj.DecodeTree(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range tree {
			m.closure(t, e.ID, into)
		}
	case gitobj.KindBlob, gitobj.KindTag:
	}
}

// TestMissing holds laws T4 and T5 on random histories: who has the haves, and
// gets what is missing, has all that the wants reach, and nothing is sent twice.
func TestMissing(t *testing.T) {
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 0))
		m := newMemory()
		commits := randomHistory(m, random, 40)
		pick := func(n int) (out []gitobj.ID) {
			for range random.IntN(n) {
				out = append(out, commits[random.IntN(len(commits))])
			}
			return out
		}
		haves, wants := pick(4), append(pick(3), commits[len(commits)-1])
		there, all := newMemory(), newMemory()
		for _, id := range haves {
			m.closure(t, id, there)
		}
		for _, id := range wants {
			m.closure(t, id, all)
		}
		items, err := Missing(t.Context(), m, wants, append(haves, gitobj.ID{9}))
		if err != nil {
			t.Fatal(err)
		}
		sent := map[gitobj.ID]bool{}
		for _, it := range items {
			if sent[it.ID] {
				t.Fatalf("seed %d: %s is sent twice", seed, it.ID)
			}
			if !it.Base.IsZero() && !sent[it.Base] && !there.Has(it.Base) {
				t.Fatalf("seed %d: the base of %s is neither sent before nor there", seed, it.ID)
			}
			sent[it.ID] = true
		}
		for id := range all.objects {
			if !sent[id] && !there.Has(id) {
				t.Fatalf("seed %d: %s is missing still", seed, id)
			}
		}
		var packed bytes.Buffer
		if err := writePack(t.Context(), &packed, m, items); err != nil {
			t.Fatal(err)
		}
		came, err := readPack(t.Context(), &packed, there, Limits{}.withDefaults())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		kept, err := Complete(t.Context(), there, came, wants)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, o := range kept {
			there.put(o.Kind, o.Data)
		}
		for id := range all.objects {
			if !there.Has(id) {
				t.Fatalf("seed %d: %s did not arrive", seed, id)
			}
		}
	}
}
