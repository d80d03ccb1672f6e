// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mirror"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// wholeRepository bounds what is fetched from a forge at once: all of it, if
// the hub's volume is lost.
var wholeRepository = transport.Limits{PackBytes: 4 << 30, Objects: 64 << 20, ObjectBytes: 32 << 20, TotalBytes: 16 << 30}

// openMirror returns the mirror of a hub, nil if it has none. A repository that is
// empty then has what the forge has.
func openMirror(ctx context.Context, c *gitcdv1.Mirror, j *journal.Journal, offer func(ref string), logger *slog.Logger) (*mirror.Mirror, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // no forge is not an error
	}
	client, err := forgeClient(c.URL, &keyFiles{caFile: c.CAFile}, &c.Credentials)
	if err != nil {
		return nil, err
	}
	m := mirror.New(j, &transport.Client{URL: c.URL, HTTP: client, Limits: wholeRepository}, mirror.Options{
		URL: c.URL, Offer: offer, Interval: c.PushInterval.Duration, Poll: c.PollInterval.Duration, Log: logger,
	})
	n, err := m.Restore(ctx)
	if n > 0 {
		logger.Info("the repository was empty and begins with what the forge has", "url", c.URL, "branches", n)
	}
	return m, err
}

// mirrorCollectors tell Prometheus how far the forge is.
func mirrorCollectors(m *mirror.Mirror) []prometheus.Collector {
	var out []prometheus.Collector
	gauge := func(name, help string, value func(mirror.Status) float64) {
		out = append(out, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(m.Status()) }))
	}
	count := func(name, help string, value func(mirror.Status) int64) {
		out = append(out, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(m.Status())) }))
	}
	gauge("gitcd_mirror_rpo_seconds", "Age of the oldest change that the forge lacks; 0 if it lacks none.", func(s mirror.Status) float64 { return s.RPOSeconds })
	gauge("gitcd_mirror_behind_branches", "Branches that the forge lacks something of.", func(s mirror.Status) float64 { return float64(len(s.Branches)) })
	gauge("gitcd_mirror_connected", "1 if the forge answered the last time.", func(s mirror.Status) float64 {
		if s.Connected {
			return 1
		}
		return 0
	})
	gauge("gitcd_mirror_kept_branches", "Histories of the forge's that are kept and not merged: somebody has to look at them.", func(s mirror.Status) float64 { return float64(len(s.Kept)) })
	count("gitcd_mirror_pushes_total", "Pushes to the forge since the start.", func(s mirror.Status) int64 { return s.Pushes })
	count("gitcd_mirror_failures_total", "Failed attempts at the forge since the start.", func(s mirror.Status) int64 { return s.Failures })
	count("gitcd_mirror_taken_in_total", "How often others had pushed to a branch at the forge.", func(s mirror.Status) int64 { return s.TakenIn })
	count("gitcd_mirror_lost_total", "How often a branch at the forge had lost something.", func(s mirror.Status) int64 { return s.Lost })
	return out
}
