// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"
	"time"
)

// BeatsType says whether it is told beside Git that leases are renewed.
type BeatsType string

const (
	// BeatsEnabled tells the hub at once that a lease was renewed, and commits that seldom.
	BeatsEnabled BeatsType = "Enabled"

	// BeatsDisabled commits and pushes each renewal that is not overtaken.
	BeatsDisabled BeatsType = "Disabled"
)

// HearType says which renewals are taken in.
type HearType string

const (
	// HearAll takes in what the hub tells of.
	HearAll HearType = "All"

	// HearNone waits until they come by Git.
	HearNone HearType = "None"
)

// Lazy says how leases and heartbeats reach others: the keys of grain Batch, and nodes of which only heartbeats changed.
type Lazy struct {
	// Beats say whether a hub is told at once that leases are renewed. Default: Enabled; a plain Git server is told nothing.
	Beats BeatsType `json:"beats,omitempty"`

	// Hear says whether renewals by others are taken in before they come by Git. Default: All; None for branches below nodes/.
	Hear HearType `json:"hear,omitempty"`

	// BeatInterval is how often it is looked whether leases were renewed. Default: 5s.
	BeatInterval Duration `json:"beatInterval,omitzero"`

	// RenewalInterval is how often renewals that the hub was told of are committed. Default: 10m.
	RenewalInterval Duration `json:"renewalInterval,omitzero"`

	// GatherInterval is how often other changes of grain Batch are committed, and all of them without a hub. Default: 35s.
	GatherInterval Duration `json:"gatherInterval,omitzero"`

	// PushWait is how long a commit that nobody waits for is not pushed. Default: 10s.
	PushWait Duration `json:"pushWait,omitzero"`
}

func (l *Lazy) setDefaults(branch string) {
	orDefault(&l.Beats, BeatsEnabled)
	hear := HearAll
	if strings.HasPrefix(branch, "nodes/") {
		hear = HearNone
	}
	orDefault(&l.Hear, hear)
	orDefault(&l.BeatInterval.Duration, 5*time.Second)
	orDefault(&l.RenewalInterval.Duration, 10*time.Minute)
	orDefault(&l.GatherInterval.Duration, 35*time.Second)
	orDefault(&l.PushWait.Duration, 10*time.Second)
}

func (l *Lazy) validate(p *problems, field string) {
	switch l.Beats {
	case BeatsEnabled, BeatsDisabled:
	default:
		p.add(field+".beats", "is %q; write Enabled or Disabled", l.Beats)
	}
	switch l.Hear {
	case HearAll, HearNone:
	default:
		p.add(field+".hear", "is %q; write All or None", l.Hear)
	}
	p.positive(field+".beatInterval", l.BeatInterval.Duration)
	p.positive(field+".renewalInterval", l.RenewalInterval.Duration)
	p.positive(field+".gatherInterval", l.GatherInterval.Duration)
	p.positive(field+".pushWait", l.PushWait.Duration)
	if l.RenewalInterval.Duration < l.GatherInterval.Duration {
		p.add(field+".renewalInterval", "is %s, shorter than gatherInterval, %s; write a longer one", l.RenewalInterval.Duration, l.GatherInterval.Duration)
	}
}
