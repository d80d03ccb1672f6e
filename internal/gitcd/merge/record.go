// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Occasion is when and where a merge took place.
type Occasion struct {
	Who  string // the process that merged
	When time.Time
	// Bases, Ours and Theirs are the commits that were merged.
	Bases        []gitobj.ID
	Ours, Theirs gitobj.ID
	// OurBranch and TheirBranch are the names of the branches.
	OurBranch, TheirBranch string
}

// recordFile is the file of a conflict.
type recordFile struct {
	Key    string     `json:"key"`
	Path   string     `json:"path,omitempty"`
	Took   Side       `json:"took"`
	Branch string     `json:"branch"`
	Why    Rule       `json:"why"`
	Reason string     `json:"reason"`
	Base   recordSide `json:"base"`
	Ours   recordSide `json:"ours"`
	Theirs recordSide `json:"theirs"`
	Who    string     `json:"who"`
	When   time.Time  `json:"when"`
}

type recordSide struct {
	Branch  string          `json:"branch,omitempty"`
	Commit  *gitobj.ID      `json:"commit,omitempty"`
	Commits []gitobj.ID     `json:"commits,omitempty"`
	Blob    *gitobj.ID      `json:"blob,omitempty"` // the whole value; none if the key was not there
	Value   json.RawMessage `json:"value,omitempty"`
	Hidden  bool            `json:"hidden,omitempty"` // there is a value, and it may be a secret
}

// Record renders a conflict as a file: the key under which to store it, and
// its content. A conflict that two places find in the same merge has the same
// key in both. Values that are or may be secrets are named by their blobs only.
func Record(c Conflict, o Occasion) (key string, content []byte, err error) {
	file := recordFile{
		Key: printable(c.Key), Path: c.Path, Took: c.Took, Branch: c.Branch, Why: c.Why, Reason: c.Why.because(),
		Base:   sideOf(c.Base, "", gitobj.Zero),
		Ours:   sideOf(c.Ours, o.OurBranch, o.Ours),
		Theirs: sideOf(c.Theirs, o.TheirBranch, o.Theirs),
		Who:    o.Who, When: o.When.UTC(),
	}
	file.Base.Commits = o.Bases
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ") // as layout does it
	if err := e.Encode(file); err != nil {
		return "", nil, fmt.Errorf("render conflict of key %q: %w", c.Key, err)
	}
	return "/" + strings.TrimPrefix(c.Key, "/") + "/" + c.name(o) + ".json", out.Bytes(), nil
}

func sideOf(v Value, branch string, commit gitobj.ID) recordSide {
	out := recordSide{Branch: branch, Value: v.JSON, Hidden: v.Hidden}
	if !commit.IsZero() {
		out.Commit = &commit
	}
	if !v.Blob.IsZero() {
		out.Blob = &v.Blob
	}
	return out
}

// name tells a conflict apart from others of its key, whichever side is ours.
func (c Conflict) name(o Occasion) string {
	sides := []string{o.OurBranch + "\x00" + o.Ours.String(), o.TheirBranch + "\x00" + o.Theirs.String()}
	slices.Sort(sides)
	id := gitobj.Hash(gitobj.KindBlob, []byte(strings.Join(append(sides, c.Key, c.Path, string(c.Why)), "\x00")))
	return hex.EncodeToString(id[:8])
}

// printable keeps a key that is not text readable.
func printable(key string) string { return strings.ToValidUTF8(key, "\ufffd") }

// because returns the reason for a rule.
func (r Rule) because() string {
	for _, row := range Table {
		if row.Rule == r {
			return row.Because
		}
	}
	return ""
}
