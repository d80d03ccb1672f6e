// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

const (
	// conflictTrailer begins a line that holds the record of a conflict. The hub files it.
	conflictTrailer = "Conflict: "
	// unlistedTrailer says how many conflicts have no such line. The hub files one record of them.
	unlistedTrailer = "Conflicts-Unlisted: "
	// longestRecord is the longest line of a record: a longer one goes without the fields' values, which the blobs have.
	longestRecord = 16 << 10
	// fullRecords is how much of a message goes to records with values, allRecords to records at all: every Git server
	// that gitcd meets takes a commit of that size.
	fullRecords = 4 << 20
	allRecords  = 16 << 20
)

// Message is the message of a merge commit. The conflicts that the merge
// decided are recorded in it: the commit and its record are one. Where there
// are very many, the later records name the blobs instead of the fields'
// values, and the last resort is their number: both sides are the parents.
// What filters held back is said as well.
func Message(subject string, m merge.Merged, o merge.Occasion) (string, error) {
	var out strings.Builder
	out.WriteString(subject + "\n")
	held := m.Trailer()
	if held != "" {
		held = "\n" + held
	}
	if len(m.Conflicts) == 0 {
		return out.String() + held, nil
	}
	fmt.Fprintf(&out, "\nConflicts: %d\n", len(m.Conflicts))
	for i, c := range m.Conflicts {
		line, err := "", error(nil)
		if out.Len() < fullRecords {
			line, err = recordLine(c, o)
		}
		if err == nil && (line == "" || len(line) > longestRecord) {
			c.Base.JSON, c.Ours.JSON, c.Theirs.JSON = nil, nil, nil
			line, err = recordLine(c, o)
		}
		if err != nil {
			return "", err
		}
		if out.Len()+len(line) > allRecords {
			fmt.Fprintf(&out, "%s%d\n", unlistedTrailer, len(m.Conflicts)-i)
			break
		}
		out.WriteString(conflictTrailer + line + "\n")
	}
	return out.String() + held, nil
}

func recordLine(c merge.Conflict, o merge.Occasion) (string, error) {
	key, content, err := merge.Record(c, o)
	if err != nil {
		return "", err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, content); err != nil {
		return "", fmt.Errorf("record conflict of %q: %w", c.Key, err)
	}
	name, err := json.Marshal(key) // a key may have spaces and line ends
	if err != nil {
		return "", fmt.Errorf("record conflict of %q: %w", c.Key, err)
	}
	return string(name) + " " + line.String(), nil
}
