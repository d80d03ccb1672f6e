// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"slices"
	"time"
)

// keepForFinalizer returns the updated object as one that is being deleted, if
// the update added finalizers. It keeps just those: whoever put the others
// there has let the object go on the side that deleted it.
func keepForFinalizer(base, updated *object) *object {
	before, _ := at(base, "metadata", "finalizers").([]any)
	after, _ := at(updated, "metadata", "finalizers").([]any)
	added := slices.DeleteFunc(slices.Clone(after), func(f any) bool {
		return slices.ContainsFunc(before, func(b any) bool { return equal(b, f) })
	})
	if len(added) == 0 {
		return nil
	}
	when := text(updated, "metadata", "deletionTimestamp")
	if when == "" {
		when = lastTouched(updated)
	}
	if when == "" {
		return nil // without any time the deletion could not be told from a creation
	}
	meta, _ := updated.get("metadata").(*object)
	meta = meta.without()
	meta.set("finalizers", added)
	meta.set("deletionTimestamp", when)
	meta.set("deletionGracePeriodSeconds", json.Number("0"))
	kept := updated.without()
	kept.set("metadata", meta)
	return kept
}

// lastTouched returns the latest time that an object says something was done
// to it. A merge has no clock: its result must be the same everywhere.
func lastTouched(root *object) string {
	last := timeAt(root, "metadata", "creationTimestamp")
	entries, _ := at(root, "metadata", "managedFields").([]any)
	for _, e := range entries {
		if t := timeAt(e, "time"); t.After(last) {
			last = t
		}
	}
	if last.IsZero() {
		return ""
	}
	return last.UTC().Format(time.RFC3339)
}

// finished says whether an object is one that its API server would have
// removed: it is being deleted, and nothing is left to wait for. Each side
// alone was still waiting for something.
func (m *merger) finished(merged *object) bool {
	done := func(root *object) bool {
		return at(root, "metadata", "deletionTimestamp") != absent &&
			whole(at(root, "metadata", "deletionGracePeriodSeconds")) == 0 &&
			empty(at(root, "metadata", "finalizers")) && empty(at(root, "spec", "finalizers"))
	}
	return done(merged) && !done(m.first.root) && !done(m.second.root)
}

func empty(v any) bool {
	list, ok := v.([]any)
	return !ok || len(list) == 0
}

// finish records what the sides changed of an object whose deletion is finished.
// The conflicts of its fields went with it.
func (m *merger) finish() {
	m.conflicts = nil
	deleting := &m.first
	if at(m.first.root, "metadata", "deletionTimestamp") == absent {
		deleting = &m.second
	}
	was := sansDeletion(m.base.root)
	if !equal(was, sansDeletion(m.first.root)) || !equal(was, sansDeletion(m.second.root)) {
		m.recordKey(deleting, Finished)
	}
}

// sansDeletion returns what of an object is neither status, nor part of its
// deletion, nor merely says who wrote it.
func sansDeletion(root *object) *object {
	out := root.without("status")
	if meta, ok := out.get("metadata").(*object); ok {
		out.set("metadata", meta.without("managedFields", "finalizers", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"))
	}
	if spec, ok := out.get("spec").(*object); ok {
		out.set("spec", spec.without("finalizers"))
	}
	return out
}
