// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"
	"time"
)

// Hold refuses writes below a key prefix while the upstream is out of touch. Reads, and writes elsewhere, go on. It is
// for a component that would judge others by their silence, such as the node lifecycle controller: when its own link
// is down, all are silent.
type Hold struct {
	// Prefix of keys, byte for byte.
	Prefix string `json:"prefix"`

	// After is how long the upstream must be out of touch. Default: 30s.
	After Duration `json:"after,omitzero"`

	// Settle is how long the hold goes on when the upstream is back, since the others may come back later. Default: 1m.
	Settle Duration `json:"settle,omitzero"`
}

func setHoldDefaults(holds []Hold) {
	for i := range holds {
		orDefault(&holds[i].After.Duration, 30*time.Second)
		orDefault(&holds[i].Settle.Duration, time.Minute)
	}
}

func (c *Config) validateHolds(p *problems) {
	if len(c.Holds) > 0 && c.Upstream == nil {
		p.add("holds", "are about an upstream, but there is none; remove them, or give upstream")
	}
	for i, h := range c.Holds {
		field := fmt.Sprintf("holds[%d]", i)
		if !strings.HasPrefix(h.Prefix, "/") {
			p.add(field+".prefix", "is %q; write the beginning of keys, such as /registry/minions/", h.Prefix)
		}
		p.positive(field+".after", h.After.Duration)
		p.positive(field+".settle", h.Settle.Duration)
	}
}
