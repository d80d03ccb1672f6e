// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import "strings"

// Grain says how much Git history the changes of a key get. All grains are
// equally durable here.
type Grain uint8

// The grains.
const (
	// Full gives each transaction its commit, when there is time.
	Full Grain = iota
	// Batch joins changes into periodic commits.
	Batch
	// Local keeps changes out of all trees, so that they are never merged.
	Local
)

// String returns the grain's name in configuration files.
func (g Grain) String() string {
	switch g {
	case Full:
		return "full"
	case Batch:
		return "batch"
	case Local:
		return "local"
	default:
		return "unknown"
	}
}

// GrainRule gives the keys with a prefix their grain.
type GrainRule struct {
	Prefix string
	Grain  Grain
}

// Grains is a set of rules: the longest prefix that fits wins, and a key that none fits is Full.
type Grains []GrainRule

// Of returns the grain of a key.
func (g Grains) Of(key string) Grain {
	best, grain := -1, Full
	for _, r := range g {
		if len(r.Prefix) > best && strings.HasPrefix(key, r.Prefix) {
			best, grain = len(r.Prefix), r.Grain
		}
	}
	return grain
}

// DefaultGrains returns the rules for the keys of a kube-apiserver. Local are
// those that are about this heaven's own kube-apiserver: another heaven's
// garbage collector would delete them.
func DefaultGrains() Grains {
	return Grains{
		{Prefix: "compact_rev_key", Grain: Local},
		{Prefix: "/registry/health", Grain: Local},
		{Prefix: "/registry/masterleases/", Grain: Local},
		{Prefix: "/registry/peerserverleases/", Grain: Local},
		{Prefix: "/registry/leases/kube-system/apiserver-", Grain: Local},
		{Prefix: "/registry/leases/", Grain: Batch},
	}
}
