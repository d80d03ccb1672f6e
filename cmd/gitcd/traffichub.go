// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// trafficMetrics tell Prometheus what went over the wire.
type trafficMetrics struct{ hub *hub.Hub }

var (
	receivedDesc = prometheus.NewDesc("gitcd_hub_received_bytes_total", "Bytes of bodies that heavens and nodes sent since the start, before TLS.", nil, nil)
	sentDesc     = prometheus.NewDesc("gitcd_hub_sent_bytes_total", "Bytes of bodies that they were sent since the start, before TLS.", nil, nil)
)

// Describe implements prometheus.Collector.
func (trafficMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- receivedDesc
	out <- sentDesc
}

// Collect implements prometheus.Collector.
func (m trafficMetrics) Collect(out chan<- prometheus.Metric) {
	t := m.hub.Status().Traffic
	out <- prometheus.MustNewConstMetric(receivedDesc, prometheus.CounterValue, float64(t.Received))
	out <- prometheus.MustNewConstMetric(sentDesc, prometheus.CounterValue, float64(t.Sent))
}
