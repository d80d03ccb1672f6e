// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// mostRecent is how many of the last conflicts a status names.
const mostRecent = 50

// RecordStatus sums up the branch of conflicts.
type RecordStatus struct {
	// Filed is how many records were ever filed, Open how many of them nobody has resolved. Both outlive restarts.
	Filed int64 `json:"filed"`
	Open  int64 `json:"open"`
	// ByRule counts what was filed since the hub started.
	ByRule []RuleCount `json:"byRule,omitempty"`
	// Recent are the last that were filed since the hub started, the oldest first.
	Recent []RecentRecord `json:"recent,omitempty"`
}

// RuleCount is how often a rule decided a conflict between main and a branch.
type RuleCount struct {
	Rule   string `json:"rule"`
	Branch string `json:"branch"`
	Count  int64  `json:"count"`
}

// RecentRecord names a conflict.
type RecentRecord struct {
	// Number is how many were filed when this one was: it tells what is new to somebody who has seen some.
	Number int64  `json:"number"`
	ID     string `json:"id"`
	Key    string `json:"key"`
	Path   string `json:"path,omitempty"`
	Rule   string `json:"rule"`
	// Took is the branch whose word stands, Other the one whose word does not.
	Took  string `json:"took"`
	Other string `json:"other"`
}

// tally counts records. The hub's lock guards it.
type tally struct {
	filed, open int64
	byRule      map[RuleCount]int64 // with Count 0 -> count
	recent      []RecentRecord
}

// load counts what an earlier hub has filed.
func (t *tally) load(repo Repository, head gitobj.ID, log *slog.Logger) {
	t.byRule = map[RuleCount]int64{}
	if head.IsZero() {
		return
	}
	c, err := commitOf(repo, head)
	if err == nil {
		err = conflict.List(context.Background(), repo, c.Tree, func(e conflict.Entry) error {
			t.filed++
			if !e.Resolved {
				t.open++
			}
			return nil
		})
	}
	if err != nil {
		log.Error("conflicts on record are not counted", "err", err)
	}
}

// add counts records that were just filed.
func (t *tally) add(filed []record) {
	for _, r := range filed {
		t.filed++
		t.open++
		c, err := conflict.Parse(r.content)
		if err != nil {
			continue // it is on the branch as it came
		}
		t.byRule[RuleCount{Rule: c.Why, Branch: c.Heaven(mainBranch)}]++
		file := r.key[strings.LastIndexByte(r.key, '/')+1:]
		t.recent = append(t.recent, RecentRecord{
			Number: t.filed, ID: strings.TrimSuffix(file, ".json"), Key: c.Key, Path: c.Path,
			Rule: c.Why, Took: c.Branch, Other: c.Other().Branch,
		})
	}
	if more := len(t.recent) - mostRecent; more > 0 {
		t.recent = slices.Clone(t.recent[more:])
	}
}

func (t *tally) status() RecordStatus {
	s := RecordStatus{Filed: t.filed, Open: t.open, Recent: slices.Clone(t.recent)}
	for c, n := range t.byRule {
		c.Count = n
		s.ByRule = append(s.ByRule, c)
	}
	slices.SortFunc(s.ByRule, func(a, b RuleCount) int {
		return strings.Compare(a.Rule+"\x00"+a.Branch, b.Rule+"\x00"+b.Branch)
	})
	return s
}
