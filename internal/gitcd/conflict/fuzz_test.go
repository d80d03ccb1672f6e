// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package conflict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// FuzzRecord holds that what a merge records is read as it was meant, that a
// resolution changes nothing else of it, and that no file brings the reader down.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("{}"), "/registry/pods/default/x", `.spec["a/b"]`, "why")
	f.Add([]byte(`{"key":"/k","took":"ours","resolved":null}`), "\xff", "", "\n")
	f.Fuzz(func(t *testing.T, file []byte, key, path, note string) {
		_, _ = Parse(file) // it must come back
		c := merge.Conflict{Key: key, Path: path, Took: merge.Theirs, Branch: "main", Why: merge.Owner}
		_, content, err := merge.Record(c, merge.Occasion{Who: "hub", When: time.Unix(1, 0), OurBranch: "heavens/a", TheirBranch: "main", Ours: gitobj.ID{1}})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Parse(content)
		if err != nil || want.Took != "theirs" || want.Heaven("main") != "heavens/a" || want.Why != string(merge.Owner) {
			t.Fatalf("%s is read as %v: %v", content, want, err)
		}
		resolved, err := resolvedFile(content, Resolution{By: "me", Decision: Seen, Note: note, When: time.Unix(2, 0).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(resolved)
		if err != nil || got.Resolved == nil || got.Resolved.Decision != Seen {
			t.Fatalf("%s: %v", resolved, err)
		}
		got.Resolved = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("the resolution changed the record: %s", diff)
		}
	})
}
