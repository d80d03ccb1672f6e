// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
)

// History says how much of the past Git keeps.
type History struct {
	// Retention is All, or a number of days such as 30d: of what is older, each day is kept as one commit in
	// refs/gitcd/checkpoints/heads/<branch>, and tags with their trees. Only for branches that stay alone. Default: All.
	Retention Retention `json:"retention,omitempty"`
}

// Retention is All, or a number of days such as 30d.
type Retention string

// RetainAll keeps the whole history.
const RetainAll Retention = "All"

// Days returns the number of days, 0 for all.
func (r Retention) Days() (int, error) {
	if r == "" || r == RetainAll {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(string(r), "d"))
	if err != nil || n < 1 || n > 36500 || !strings.HasSuffix(string(r), "d") {
		return 0, fmt.Errorf("is %q; write All, or a number of days such as 30d", string(r))
	}
	return n, nil
}

func (c *Config) validateHistory(p *problems) {
	days, err := c.History.Retention.Days()
	if err != nil {
		p.add("history.retention", "%v", err)
	}
	if days > 0 && (c.Hub != nil || c.Upstream != nil || len(c.Pulls) > 0) {
		p.add("history.retention", "is %s, but merges need the history that others have; write All, or remove hub, upstream and pulls", string(c.History.Retention))
	}
	for i := range c.Branches {
		if days > 0 && len(c.Branches[i].Pulls) > 0 {
			p.add(fmt.Sprintf("branches[%d].pulls", i), "do not go with history.retention: merges need the history that others have")
		}
	}
}
