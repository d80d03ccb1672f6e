// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Limits bound what clients can read of a branch's past. They hold for each
// branch by itself; Git history is not touched.
type Limits struct {
	// QuotaBytes is how much the keys may take, and the past that clients can read, before the alarm NOSPACE is raised,
	// which refuses writes until it is disarmed. Default: no bound.
	QuotaBytes int64 `json:"quotaBytes,omitempty"`

	// CompactAfter is how long clients can read what has been overwritten. Absent: until a client compacts, as
	// kube-apiserver does.
	CompactAfter Duration `json:"compactAfter,omitzero"`

	// CompactBeyond is how many revisions clients can read. It does not go with compactAfter.
	CompactBeyond int64 `json:"compactBeyond,omitempty"`
}

func (l *Limits) validate(p *problems) {
	if l.QuotaBytes < 0 {
		p.add("limits.quotaBytes", "is %d; write a number of bytes, or leave it out for no bound", l.QuotaBytes)
	}
	if l.CompactAfter.Duration < 0 {
		p.add("limits.compactAfter", "is %s; write a time such as 30m, or leave it out", l.CompactAfter.Duration)
	}
	if l.CompactBeyond < 0 {
		p.add("limits.compactBeyond", "is %d; write a number of revisions, or leave it out", l.CompactBeyond)
	}
	if l.CompactAfter.Duration > 0 && l.CompactBeyond > 0 {
		p.add("limits.compactBeyond", "does not go with limits.compactAfter; remove one of them")
	}
}
