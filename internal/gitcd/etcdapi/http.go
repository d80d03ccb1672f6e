// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves what etcd serves over plain HTTP: /health, /livez, /readyz,
// /version and /metrics.
func (s *Server) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{Server: s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /version", s.serveVersion)
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		mux.HandleFunc("GET "+path, s.serveHealth)
	}
	return mux
}

func (s *Server) serveVersion(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"etcdserver": Version, "etcdcluster": storageVersion, "storage": storageVersion})
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	if err := s.store.Healthy(); err != nil {
		reply(w, http.StatusServiceUnavailable, map[string]string{"health": "false", "reason": err.Error()})
		return
	}
	reply(w, http.StatusOK, map[string]string{"health": "true", "reason": ""})
}

func reply(w http.ResponseWriter, code int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		return // the client has gone: nobody to tell
	}
}

// collector reads the store's state when Prometheus asks.
type collector struct{ *Server }

var (
	descHasLeader   = prometheus.NewDesc("etcd_server_has_leader", "Whether the member takes writes.", nil, nil)
	descDBSize      = prometheus.NewDesc("etcd_mvcc_db_total_size_in_bytes", "Bytes that the repository takes.", nil, nil)
	descKeys        = prometheus.NewDesc("etcd_debugging_mvcc_keys_total", "Keys.", nil, nil)
	descRevision    = prometheus.NewDesc("etcd_debugging_mvcc_current_revision", "Current revision.", nil, nil)
	descCompacted   = prometheus.NewDesc("etcd_debugging_mvcc_compact_revision", "Compacted revision.", nil, nil)
	descUncommitted = prometheus.NewDesc("gitcd_uncommitted_transactions", "Durable transactions that no Git commit has yet.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.store.Status()
	leader := 1.0
	if c.store.Healthy() != nil {
		leader = 0
	}
	for desc, value := range map[*prometheus.Desc]float64{
		descHasLeader: leader, descDBSize: float64(c.o.DBSize()), descKeys: float64(st.Keys),
		descRevision: float64(st.Revision), descCompacted: float64(st.Compacted), descUncommitted: float64(st.Uncommitted),
	} {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
}
