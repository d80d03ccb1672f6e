// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// labelled is an object whose labels have managers.
type labelled struct {
	labels map[string]string
	owners map[string]map[string]bool // manager -> labels
	times  map[string]int
}

func (l labelled) clone() labelled {
	out := labelled{labels: map[string]string{}, owners: map[string]map[string]bool{}, times: map[string]int{}}
	maps.Copy(out.labels, l.labels)
	for m, owned := range l.owners {
		out.owners[m] = maps.Clone(owned)
		out.times[m] = l.times[m]
	}
	return out
}

// edit lets a manager set or remove a label, as an API server keeps account of it.
func (l labelled) edit(manager, label, value string, now int) {
	for _, owned := range l.owners {
		delete(owned, label)
	}
	delete(l.labels, label)
	if l.owners[manager] == nil {
		l.owners[manager] = map[string]bool{}
	}
	l.times[manager] = now
	if value != "" {
		l.labels[label], l.owners[manager][label] = value, true
	}
}

func (l labelled) encode(t *rapid.T) []byte {
	t.Helper()
	entries := []any{}
	for _, m := range []string{"m1", "m2", "m3"} {
		if len(l.owners[m]) == 0 {
			continue
		}
		fields := map[string]any{".": map[string]any{}}
		for label := range l.owners[m] {
			fields["f:"+label] = map[string]any{}
		}
		entries = append(entries, map[string]any{
			"manager": m, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
			"time":     time.Unix(int64(l.times[m]), 0).UTC().Format(time.RFC3339),
			"fieldsV1": map[string]any{"f:metadata": map[string]any{"f:labels": fields}},
		})
	}
	out, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"uid": "u", "labels": l.labels, "managedFields": entries},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestManagedFieldsFit holds that after a merge the managers manage just the
// labels that are there, and each label has one.
func TestManagedFieldsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := 0
		edits := func(l labelled) labelled {
			l = l.clone()
			for range rapid.IntRange(0, 4).Draw(t, "edits") {
				now++
				value := ""
				if rapid.Bool().Draw(t, "set") {
					value = fmt.Sprint(now)
				}
				l.edit(rapid.SampledFrom([]string{"m1", "m2", "m3"}).Draw(t, "manager"),
					rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "label"), value, now)
			}
			return l
		}
		base := edits(labelled{})
		r := checkSymmetric(t, "/k", base.encode(t), edits(base).encode(t), edits(base).encode(t), apart)
		var got struct {
			Metadata struct {
				Labels        map[string]string
				ManagedFields []struct {
					Manager  string
					FieldsV1 map[string]map[string]map[string]any
				}
			}
		}
		if err := json.Unmarshal(r.Value, &got); err != nil {
			t.Fatal(err)
		}
		managed := map[string]bool{}
		for _, e := range got.Metadata.ManagedFields {
			for field := range e.FieldsV1["f:metadata"]["f:labels"] {
				if field == "." {
					continue
				}
				managed[field[2:]] = true
				if _, ok := got.Metadata.Labels[field[2:]]; !ok {
					t.Fatalf("%s manages %s, which is not there: %s", e.Manager, field, r.Value)
				}
			}
		}
		for label := range got.Metadata.Labels {
			if !managed[label] && r.Rule == merge.Fields {
				t.Fatalf("nobody manages label %s: %s", label, r.Value)
			}
		}
	})
}
