// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// gauges show what each hub said last. It is safe for concurrent use.
type gauges struct {
	clock clock.PassiveClock

	// mu guards what follows.
	mu    sync.Mutex
	hubs  map[client.ObjectKey]heavenv1.MergeFindings
	descs struct{ conflicts, recorded, waiting, rpo, connected *prometheus.Desc }
}

func newGauges(c clock.PassiveClock) *gauges {
	g := &gauges{clock: c, hubs: map[client.ObjectKey]heavenv1.MergeFindings{}}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("headless_"+name, help, []string{"namespace", "automatedmerge"}, nil)
	}
	g.descs.conflicts = desc("conflicts_open", "Conflicts on record that nobody has resolved.")
	g.descs.recorded = desc("conflicts_recorded_total", "Conflicts that were ever put on record.")
	g.descs.waiting = desc("quarantine_waiting", "Changes that a gate did not let into main, and that wait for a person.")
	g.descs.rpo = desc("forge_rpo_seconds", "Age of the oldest change that the forge lacks; 0 if it lacks nothing.")
	g.descs.connected = desc("forge_connected", "1 if the forge answered when it was asked last.")
	return g
}

// see keeps what a hub said last.
func (g *gauges) see(hub client.ObjectKey, f *heavenv1.MergeFindings) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hubs[hub] = *f.DeepCopy()
}

// forget drops a hub that is gone.
func (g *gauges) forget(hub client.ObjectKey) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.hubs, hub)
}

// Describe is a Prometheus collector's.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.descs.conflicts, g.descs.recorded, g.descs.waiting, g.descs.rpo, g.descs.connected} {
		out <- d
	}
}

// Collect is a Prometheus collector's. What a hub has not said has no value.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for hub, f := range g.hubs {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
			out <- prometheus.MustNewConstMetric(d, kind, v, hub.Namespace, hub.Name)
		}
		for _, n := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value *int64
		}{
			{g.descs.conflicts, prometheus.GaugeValue, f.Conflicts.Open},
			{g.descs.recorded, prometheus.CounterValue, f.Conflicts.Recorded},
			{g.descs.waiting, prometheus.GaugeValue, f.Quarantine.Waiting},
		} {
			if n.value != nil {
				send(n.desc, n.kind, float64(*n.value))
			}
		}
		if f.Forge.Connected == nil {
			continue // there is no forge
		}
		rpo, connected := 0.0, 0.0
		if oldest := f.Forge.OldestUnmirrored; !oldest.IsZero() {
			rpo = max(0, g.clock.Now().Sub(oldest.Time).Seconds())
		}
		if *f.Forge.Connected {
			connected = 1
		}
		send(g.descs.rpo, prometheus.GaugeValue, rpo)
		send(g.descs.connected, prometheus.GaugeValue, connected)
	}
}
