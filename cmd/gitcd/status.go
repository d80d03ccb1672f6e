// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
)

// report is what /status answers.
type report struct {
	Version  string           `json:"version,omitempty"`
	Branch   string           `json:"branch,omitempty"`
	Epoch    int64            `json:"epoch"`
	Holder   string           `json:"holder,omitempty"`
	Store    *storeReport     `json:"store,omitempty"`
	Exchange *exchange.Status `json:"exchange,omitempty"`
	History  *historyReport   `json:"history,omitempty"`
	Branches []report         `json:"branches,omitempty"` // if there are several
}

type storeReport struct {
	Revision    int64  `json:"revision"`
	Compacted   int64  `json:"compacted"`
	Keys        int64  `json:"keys"`
	Head        string `json:"head"`
	Uncommitted int64  `json:"uncommitted"`
	Error       string `json:"error,omitempty"`
}

func (h *heaven) report() report {
	s := h.branch.Store.Status()
	r := report{
		Version: version, Branch: h.config.Branch, Epoch: h.epoch, Holder: h.holder,
		Store: &storeReport{Revision: s.Revision, Compacted: s.Compacted, Keys: s.Keys, Head: s.Head.String(), Uncommitted: s.Uncommitted},
	}
	if err := h.branch.Store.Healthy(); err != nil {
		r.Store.Error = err.Error()
	}
	if h.exchange != nil {
		x := h.exchange.Status()
		r.Exchange = &x
	}
	r.History = historyOf(h.branch.Journal)
	return r
}

// statusHandler answers probes, people and Prometheus.
func writeReport(w io.Writer, r report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func answerHealth(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := w.Write([]byte("ok\n")); err != nil {
		return
	}
}

// metricsHandler serves the process's metrics, the journal's and those of the heavens in it. If there are several, each has its branch as a label.
func metricsHandler(j *journal.Journal, heavens []*heaven, more ...prometheus.Collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(historyCollectors(j)...)
	r.MustRegister(more...)
	for _, h := range heavens {
		labels := prometheus.Labels{}
		if len(heavens) > 1 {
			labels["branch"] = h.config.Branch
		}
		h.metrics(func(name, help string, value func() float64) {
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
		})
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

func (h *heaven) metrics(gauge func(name, help string, value func() float64)) {
	gauge("gitcd_revision", "Current revision of the branch's store.", func() float64 { return float64(h.branch.Store.Revision()) })
	gauge("gitcd_keys", "Number of keys.", func() float64 { return float64(h.branch.Store.Status().Keys) })
	gauge("gitcd_uncommitted_transactions", "Transactions that are durable, but not in a commit yet.", func() float64 { return float64(h.branch.Store.Status().Uncommitted) })
	gauge("gitcd_epoch", "Epoch of the branch's writer.", func() float64 { return float64(h.epoch) })
	if h.exchange != nil {
		exchangeMetrics(gauge, h.exchange)
	}
}

func exchangeMetrics(gauge func(name, help string, value func() float64), x *exchange.Exchange) {
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("gitcd_upstream_connected", "1 if the link to the upstream is up.", func() float64 { return truth(x.Status().Connected) })
	gauge("gitcd_upstream_unpushed", "1 if the upstream lacks something that was acknowledged here.", func() float64 { return truth(x.Status().Unpushed) })
	gauge("gitcd_pushes_total", "Pushes since the start.", func() float64 { return float64(x.Status().Pushes) })
	gauge("gitcd_merges_total", "Merges of main since the start.", func() float64 { return float64(x.Status().Merges) })
	gauge("gitcd_conflicts_total", "Conflicts recorded since the start.", func() float64 { return float64(x.Status().Conflicts) })
}

// size returns how many bytes the repository takes on disk, about.
func (h *heaven) size() int64 { return bytesBelow(h.config.Repository) }
