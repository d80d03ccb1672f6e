// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// metrics serves the numbers of the store and the process, under the names that etcd's dashboards know.
func (f *Front) metrics() http.Handler {
	return promhttp.InstrumentMetricHandler(f.registry, promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{}))
}

func (f *Front) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{Front: f},
	}, f.o.Collectors...)
}

// collector reads the store's state when Prometheus asks; nothing is added up before.
type collector struct{ *Front }

// Describe implements prometheus.Collector. It describes nothing: what there is depends on what was called.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	p := &printer{out: out}
	c.member(p)
	c.storage(p)
	c.watching(p)
	c.leases(p)
	c.rpcs(p)
	c.own(p)
	for name, kind := range absent {
		switch kind {
		case histogram:
			p.histogram(name, "What gitcd has no such part of: always 0.", &mvcc.Histogram{})
		case counter:
			p.counter(name, "What gitcd has no such part of: always 0.", 0)
		case gauge:
			p.gauge(name, "What gitcd has no such part of: always 0.", 0)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// member says who this is, and whether it takes writes.
func (c *collector) member(p *printer) {
	st := c.store.Status()
	leads := c.writable() == nil
	p.gauge("etcd_server_has_leader", "Whether writes are taken.", truth(leads))
	p.gauge("etcd_server_is_leader", "Whether this member takes writes.", truth(leads))
	p.gauge("etcd_server_is_learner", "Whether this member is a learner: never.", 0)
	p.counter("etcd_server_leader_changes_seen_total", "How often the branch changed its writer: its epoch.", float64(c.term()))
	p.gauge("etcd_server_id", "The member's id.", 1, "server_id", fmt.Sprintf("%x", c.Server.o.MemberID))
	p.gauge("etcd_server_version", "The version of etcd whose API this is.", 1, "server_version", Version)
	p.gauge("etcd_server_go_version", "The version of Go that it was built with.", 1, "server_go_version", runtime.Version())
	p.gauge("etcd_cluster_version", "The version of etcd whose cluster this looks like.", 1, "cluster_version", strings.TrimSuffix(storageVersion, ".0"))
	p.gauge("etcd_server_proposals_committed_total", "Revisions that are durable.", float64(st.Revision))
	p.gauge("etcd_server_proposals_applied_total", "Revisions that can be read.", float64(st.Revision))
	p.gauge("etcd_server_proposals_pending", "Calls that wait for the disk.", float64(c.calls.pending()))
	p.counter("etcd_server_proposals_failed_total", "Changes that failed since the store did.", float64(c.calls.failed()))
	p.counter("etcd_server_health_success", "How often /health said that all is well.", float64(c.health.good.Load()))
	p.counter("etcd_server_health_failures", "How often /health said that it is not.", float64(c.health.bad.Load()))
}

// storage says what is stored and what the disk does.
func (c *collector) storage(p *printer) {
	st, stats := c.store.Status(), c.store.Stats()
	size := &pb.StatusResponse{}
	if r, err := (&maintenanceServer{Server: c.Server}).Status(context.Background(), &pb.StatusRequest{}); err == nil {
		size = r
	}
	p.gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes that the store takes.", float64(size.DbSize))
	p.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of them that are in use.", float64(size.DbSizeInUse))
	p.gauge("etcd_server_quota_backend_bytes", "Bytes that the store may take; 0 is no limit.", float64(size.DbSizeQuota))
	p.gauge("etcd_debugging_mvcc_keys_total", "Keys.", float64(st.Keys))
	p.gauge("etcd_debugging_mvcc_current_revision", "Current revision.", float64(st.Revision))
	p.gauge("etcd_debugging_mvcc_compact_revision", "Compacted revision.", float64(max(st.Compacted, 0)))
	p.gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values that were put.", float64(stats.PutBytes.Load()))
	p.counter("etcd_mvcc_put_total", "Puts.", float64(stats.Puts.Load()))
	p.counter("etcd_mvcc_delete_total", "Deletions.", float64(stats.Deletes.Load()))
	p.counter("etcd_mvcc_txn_total", "Transactions of more than one change.", float64(stats.Txns.Load()))
	p.counter("etcd_mvcc_range_total", "Reads.", float64(stats.Ranges.Load()))
	p.histogram("etcd_disk_wal_fsync_duration_seconds", "How long syncs of the journal took.", &stats.Sync)
	p.histogram("etcd_disk_backend_commit_duration_seconds", "How long Git commits took to make.", &stats.Commit)
}

func (c *collector) watching(p *printer) {
	w := c.store.WatchStats()
	p.gauge("etcd_debugging_mvcc_watch_stream_total", "Streams of watches.", float64(w.Streams))
	p.gauge("etcd_debugging_mvcc_watcher_total", "Watches.", float64(w.Watchers))
	p.gauge("etcd_debugging_mvcc_slow_watcher_total", "Watches that have not been given everything yet.", float64(w.Slow))
	p.gauge("etcd_debugging_mvcc_pending_events_total", "Revisions that they lack, together.", float64(w.Pending))
	p.counter("etcd_debugging_mvcc_events_total", "Events given to watchers.", float64(c.store.Stats().Events.Load()))
}

// leases are counted by the calls that made them.
func (c *collector) leases(p *printer) {
	ok := func(method string) float64 {
		if m := c.calls.byName["/etcdserverpb.Lease/"+method]; m != nil {
			return float64(m.handled[0].Load())
		}
		return 0
	}
	renewed := 0.0
	if m := c.calls.byName["/etcdserverpb.Lease/LeaseKeepAlive"]; m != nil {
		renewed = float64(m.sent.Load())
	}
	p.counter("etcd_debugging_lease_granted_total", "Leases that were granted.", ok("LeaseGrant"))
	p.counter("etcd_debugging_lease_revoked_total", "Leases that were revoked.", ok("LeaseRevoke"))
	p.counter("etcd_debugging_lease_renewed_total", "Leases that were given their time again.", renewed)
	p.counter("etcd_debugging_server_lease_expired_total", "Leases whose time was over.", float64(c.store.Stats().Expired.Load()))
	p.gauge("gitcd_leases", "Leases that there are.", float64(len(c.store.Leases())))
}

// rpcs are the names that Prometheus's gRPC middleware has.
func (c *collector) rpcs(p *printer) {
	p.counter("etcd_network_client_grpc_received_bytes_total", "Bytes that came on gRPC connections.", float64(c.bytes.received.Load()))
	p.counter("etcd_network_client_grpc_sent_bytes_total", "Bytes that went out on gRPC connections.", float64(c.bytes.sent.Load()))
	var unary, streams int64
	for _, m := range c.calls.byName {
		labels := []string{"grpc_type", m.kind, "grpc_service", m.service, "grpc_method", m.method}
		started := m.started.Load()
		if m.kind == "unary" {
			unary += started
		} else {
			streams += started
		}
		p.counter("grpc_server_started_total", "Calls that began.", float64(started), labels...)
		p.counter("grpc_server_msg_received_total", "Messages that came.", float64(m.received.Load()), labels...)
		p.counter("grpc_server_msg_sent_total", "Messages that went out.", float64(m.sent.Load()), labels...)
		for code := range m.handled {
			if n := m.handled[code].Load(); n > 0 || code == 0 {
				p.counter("grpc_server_handled_total", "Calls that ended.", float64(n), append(labels, "grpc_code", codeName(code))...)
			}
		}
		if c.calls.extensive {
			p.histogram("grpc_server_handling_seconds", "How long calls took.", &m.took, labels...)
		}
	}
	p.counter("etcd_server_client_requests_total", "Calls of clients.", float64(unary), "type", "unary", "client_api_version", "unknown")
	p.counter("etcd_server_client_requests_total", "Calls of clients.", float64(streams), "type", "stream", "client_api_version", "unknown")
}

// own are numbers that etcd does not have.
func (c *collector) own(p *printer) {
	st, stats := c.store.Status(), c.store.Stats()
	p.gauge("gitcd_uncommitted_transactions", "Durable transactions that no Git commit has yet.", float64(st.Uncommitted))
	p.gauge("gitcd_committer_lag_seconds", "Age of the oldest of them, about.", c.store.Lag().Seconds())
	p.counter("gitcd_batches_total", "Batches of transactions that were made durable together.", float64(stats.Batches.Load()))
	p.counter("gitcd_batched_transactions_total", "Transactions in them.", float64(stats.Changes.Load()))
	cache := c.store.CacheStats()
	p.gauge("gitcd_value_cache_bytes", "Bytes of values in memory.", float64(cache.Held))
	p.gauge("gitcd_value_cache_limit_bytes", "Bytes of values that may be in memory.", float64(cache.Budget))
	p.counter("gitcd_value_cache_misses_total", "Values that were read from the repository.", float64(cache.Reads))
	p.gauge("gitcd_epoch", "Epoch of the branch's writer.", float64(st.Epoch))
}

// printer hands numbers to Prometheus. Labels are pairs of a name and a value.
type printer struct{ out chan<- prometheus.Metric }

func (p *printer) gauge(name, help string, value float64, labels ...string) {
	p.constant(prometheus.GaugeValue, name, help, value, labels)
}

func (p *printer) counter(name, help string, value float64, labels ...string) {
	p.constant(prometheus.CounterValue, name, help, value, labels)
}

func pairs(labels []string) (names, values []string) {
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return names, values
}

func (p *printer) constant(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	names, values := pairs(labels)
	p.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
}

func (p *printer) histogram(name, help string, h *mvcc.Histogram, labels ...string) {
	names, values := pairs(labels)
	read, count, sum := h.Read()
	buckets := make(map[float64]uint64, len(read))
	for bound, n := range read {
		buckets[bound.Seconds()] = n
	}
	p.out <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, names, nil), count, sum.Seconds(), buckets, values...)
}

// pending is how many unary calls have begun and not ended.
func (c *calls) pending() (n int64) {
	for _, m := range c.byName {
		if m.kind != "unary" {
			continue
		}
		n += m.started.Load()
		for code := range m.handled {
			n -= m.handled[code].Load()
		}
	}
	return max(n, 0)
}

// failed is how many calls the store could not serve.
func (c *calls) failed() (n int64) {
	for _, m := range c.byName {
		if m.kind == "unary" {
			n += m.handled[codes.Unavailable].Load()
		}
	}
	return n
}
