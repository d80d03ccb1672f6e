// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// FuzzTrailer holds that a trailer is read as it was written, and that no
// message brings the reader down.
func FuzzTrailer(f *testing.F) {
	f.Add("merge\n\nHeld-Back: 0100000000000000000000000000000000000000 [{\"exclude\":[\"/x/\"]}]\n", "/a/", "/b/*")
	f.Add("\nHeld-Back: \nother\nHeld-Back: x y", "", "\n")
	f.Fuzz(func(t *testing.T, message, include, exclude string) {
		heldBack(message)
		m := Merged{theirs: gitobj.ID{1}, held: []Filter{{Include: []string{include}, Exclude: []string{exclude}}}}
		got := heldBack("merge\n\n" + m.Trailer())
		filters := parseFilters(got[gitobj.ID{1}])
		if len(filters) != 1 {
			t.Fatalf("%q is read as %v", m.Trailer(), got)
		}
		if !utf8.ValidString(include) || !utf8.ValidString(exclude) { // Validate refuses them
			return
		}
		for _, key := range []string{include, exclude, message, "/a/b"} {
			if filters[0].Holds(key) != m.held[0].Holds(key) {
				t.Fatalf("%q holds %q: %v", m.Trailer(), key, filters[0].Holds(key))
			}
		}
	})
}

// FuzzPath holds that what is read as a path is written as one that is read alike.
func FuzzPath(f *testing.F) {
	for _, s := range Statements {
		for _, text := range slices.Concat(s.Fields, s.With, s.Rest) {
			f.Add(text)
		}
	}
	f.Add(`.a["x\"]"].b[c="d]",e=1].s[=null]`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePath(text)
		if err != nil {
			return
		}
		again, err := parsePath(p.String())
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q is written as %q and read as %q: %v", text, p, again, err)
		}
	})
}
