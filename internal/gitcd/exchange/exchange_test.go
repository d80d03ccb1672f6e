// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"testing"
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
