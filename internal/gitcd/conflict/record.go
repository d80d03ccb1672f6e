// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package conflict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Ref is the branch of the records.
const Ref = "refs/heads/conflicts"

// Record is what a file on the branch says. merge.Record writes it; docs/merging.md describes it.
type Record struct {
	Key    string `json:"key"`
	Path   string `json:"path,omitempty"`
	Took   string `json:"took"`
	Branch string `json:"branch"`
	Why    string `json:"why"`
	Reason string `json:"reason"`
	Base   Side   `json:"base"`
	Ours   Side   `json:"ours"`
	Theirs Side   `json:"theirs"`
	Who    string `json:"who"`
	// When is the time of the merge.
	When time.Time `json:"when"`
	// Resolved says what a person made of it; nil while it is open.
	Resolved *Resolution `json:"resolved,omitempty"`
}

// Side is a value as one side of the merge had it.
type Side struct {
	Branch  string          `json:"branch,omitempty"`
	Commit  *gitobj.ID      `json:"commit,omitempty"`
	Commits []gitobj.ID     `json:"commits,omitempty"`
	Blob    *gitobj.ID      `json:"blob,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Hidden  bool            `json:"hidden,omitempty"`
}

// Decision is what a person made of a conflict.
type Decision string

// The decisions.
const (
	// Seen lets stand what the merge took.
	Seen Decision = "seen"
	// TookOther puts the other side's value in its place.
	TookOther Decision = "took-other"
)

// Resolution says who decided a conflict, when and how.
type Resolution struct {
	By       string    `json:"by"`
	When     time.Time `json:"when"`
	Decision Decision  `json:"decision"`
	Note     string    `json:"note,omitempty"`
}

// Parse reads a record's file. What it does not know is left out.
func Parse(file []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(file, &r); err != nil {
		return Record{}, fmt.Errorf("read conflict record: %w", err)
	}
	return r, nil
}

// resolvedFile returns a record's file with the resolution as its last member. The rest stays as it was written.
func resolvedFile(file []byte, how Resolution) ([]byte, error) {
	body, ok := bytes.CutSuffix(bytes.TrimSpace(file), []byte("}"))
	if !ok {
		return nil, fmt.Errorf("write conflict record: the file is no JSON object")
	}
	member, err := json.MarshalIndent(how, " ", " ") // as layout does it
	if err != nil {
		return nil, fmt.Errorf("write conflict record: %w", err)
	}
	return fmt.Appendf(nil, "%s,\n \"resolved\": %s\n}\n", bytes.TrimSpace(body), member), nil
}

// Other is the side whose word does not stand.
func (r Record) Other() Side {
	if r.Took == "ours" {
		return r.Theirs
	}
	return r.Ours
}

// Winner is the side whose word stands.
func (r Record) Winner() Side {
	if r.Took == "ours" {
		return r.Ours
	}
	return r.Theirs
}

// Heaven is the branch that was merged with main, whoever merged.
func (r Record) Heaven(main string) string {
	if r.Ours.Branch == main {
		return r.Theirs.Branch
	}
	return r.Ours.Branch
}

// Check says whether a resolution can be written down.
func (r Resolution) Check() error {
	switch {
	case r.By == "":
		return fmt.Errorf("resolve conflict: nobody is named; say who decides")
	case r.Decision != Seen && r.Decision != TookOther:
		return fmt.Errorf("resolve conflict: decision %q is none; write %s or %s", r.Decision, Seen, TookOther)
	}
	return nil
}
