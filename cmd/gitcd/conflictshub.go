// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// hubConflicts asks a hub.
type hubConflicts struct{ client *hubClient }

func (s *hubConflicts) list(ctx context.Context, all bool) ([]hub.ListedConflict, error) {
	path := "/v1/conflicts"
	if all {
		path += "?all"
	}
	body, err := s.client.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	var found []hub.ListedConflict
	in := json.NewDecoder(bytes.NewReader(body))
	for {
		var c hub.ListedConflict
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			inOrder(found)
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the hub's answer: %w", err)
		}
		found = append(found, c)
	}
}

// inOrder puts the latest last.
func inOrder(found []hub.ListedConflict) {
	slices.SortFunc(found, func(a, b hub.ListedConflict) int {
		if c := a.Record.When.Compare(b.Record.When); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

func (s *hubConflicts) show(ctx context.Context, id string) (hub.ListedConflict, error) {
	return s.one(ctx, http.MethodGet, "/v1/conflicts/"+url.PathEscape(id), nil)
}

func (s *hubConflicts) resolve(ctx context.Context, id string, how conflict.Resolution) (hub.ListedConflict, error) {
	return s.one(ctx, http.MethodPost, "/v1/conflicts/"+url.PathEscape(id)+"/resolve", how)
}

func (s *hubConflicts) one(ctx context.Context, method, path string, body any) (c hub.ListedConflict, err error) {
	answer, err := s.client.ask(ctx, method, path, body)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(answer, &c); err != nil {
		return c, fmt.Errorf("read the hub's answer: %w", err)
	}
	return c, nil
}

// conflictMetrics tell Prometheus what merges have put on record.
type conflictMetrics struct{ hub *hub.Hub }

var (
	conflictsDesc = prometheus.NewDesc("gitcd_hub_conflicts_total", "Conflicts put on record since the start, by the rule that decided and the branch that met main.", []string{"rule", "branch"}, nil)
	openDesc      = prometheus.NewDesc("gitcd_hub_conflicts_open", "Conflicts on record that nobody has resolved.", nil, nil)
	filedDesc     = prometheus.NewDesc("gitcd_hub_conflicts_recorded", "Conflicts on record, resolved ones among them.", nil, nil)
)

// Describe implements prometheus.Collector.
func (conflictMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- conflictsDesc
	out <- openDesc
	out <- filedDesc
}

// Collect implements prometheus.Collector.
func (m conflictMetrics) Collect(out chan<- prometheus.Metric) {
	r := m.hub.Status().Records
	for _, c := range r.ByRule {
		out <- prometheus.MustNewConstMetric(conflictsDesc, prometheus.CounterValue, float64(c.Count), c.Rule, c.Branch)
	}
	out <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(r.Open))
	out <- prometheus.MustNewConstMetric(filedDesc, prometheus.GaugeValue, float64(r.Filed))
}
