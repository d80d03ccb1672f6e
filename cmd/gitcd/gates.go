// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// gatesOf returns the gates of a hub: its own, then those that are shipped.
func gatesOf(c *gitcdv1.Hub) (gate.Set, error) {
	data, err := json.Marshal(c.Gates) // the file's words are those of the gate
	if err != nil {
		return nil, fmt.Errorf("read gates: %w", err)
	}
	var set gate.Set
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, &usageError{fmt.Errorf("read hub.gates: %w", err)}
	}
	if err := set.Validate(); err != nil {
		return nil, &usageError{fmt.Errorf("check hub.%w", err)}
	}
	if c.DefaultGates == gitcdv1.DefaultGatesDisabled {
		return set, nil
	}
	named := map[string]bool{}
	for i := range set {
		named[set[i].Name] = true
	}
	for _, g := range gate.Defaults(c.GenesisBranch) {
		if !named[g.Name] { // one of the same name takes the place of a shipped one
			set = append(set, g)
		}
	}
	return set, nil
}

// quarantineMetrics tell Prometheus what gates keep out of main.
type quarantineMetrics struct{ hub *hub.Hub }

var (
	refusedDesc    = prometheus.NewDesc("gitcd_hub_refused_total", "Changes that a gate refused since the start, each attempt counted.", []string{"branch", "gate", "kind"}, nil)
	quarantineDesc = prometheus.NewDesc("gitcd_hub_quarantine", "Changes in quarantine.", []string{"state"}, nil)
	waitingDesc    = prometheus.NewDesc("gitcd_hub_quarantine_waiting", "Changes of a branch that wait for a person.", []string{"branch"}, nil)
)

// Describe implements prometheus.Collector.
func (quarantineMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- refusedDesc
	out <- quarantineDesc
	out <- waitingDesc
}

// Collect implements prometheus.Collector.
func (m quarantineMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.hub.Status()
	q := s.Quarantine
	for _, r := range q.Refused {
		out <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(r.Count), r.Branch, r.Gate, string(r.Kind))
	}
	out <- prometheus.MustNewConstMetric(quarantineDesc, prometheus.GaugeValue, float64(q.Waiting), string(hub.Waiting))
	out <- prometheus.MustNewConstMetric(quarantineDesc, prometheus.GaugeValue, float64(q.Rejected), string(hub.Rejected))
	for _, b := range s.Branches {
		if b.Quarantined > 0 {
			out <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(b.Quarantined), b.Name)
		}
	}
}
