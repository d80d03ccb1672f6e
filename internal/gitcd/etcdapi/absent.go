// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

// metricKind is what a metric without a subject would be.
type metricKind uint8

const (
	counter metricKind = iota
	gauge
	histogram
)

// absent are etcd's metrics about parts that gitcd does not have: peers, snapshots for them, a backend file, the
// old store, the gRPC proxy. They are said to be 0, so that dashboards and alerts find what they look for.
var absent = map[string]metricKind{
	"etcd_debugging_auth_revision":                                                  gauge,
	"etcd_debugging_disk_backend_commit_rebalance_duration_seconds":                 histogram,
	"etcd_debugging_disk_backend_commit_spill_duration_seconds":                     histogram,
	"etcd_debugging_disk_backend_commit_write_duration_seconds":                     histogram,
	"etcd_debugging_lease_ttl_total":                                                histogram,
	"etcd_debugging_mvcc_db_compaction_keys_total":                                  counter,
	"etcd_debugging_mvcc_db_compaction_last":                                        gauge,
	"etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds":                 histogram,
	"etcd_debugging_mvcc_db_compaction_total_duration_milliseconds":                 histogram,
	"etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds":              histogram,
	"etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds":           histogram,
	"etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds": histogram,
	"etcd_debugging_server_watch_send_loop_control_stream_duration_seconds":         histogram,
	"etcd_debugging_server_watch_send_loop_progress_duration_seconds":               histogram,
	"etcd_debugging_snap_save_marshalling_duration_seconds":                         histogram,
	"etcd_debugging_snap_save_total_duration_seconds":                               histogram,
	"etcd_debugging_store_expires_total":                                            counter,
	"etcd_debugging_store_watch_requests_total":                                     counter,
	"etcd_debugging_store_watchers":                                                 gauge,
	"etcd_disk_backend_defrag_duration_seconds":                                     histogram,
	"etcd_disk_backend_snapshot_duration_seconds":                                   histogram,
	"etcd_disk_defrag_inflight":                                                     gauge,
	"etcd_disk_wal_write_bytes_total":                                               gauge,
	"etcd_disk_wal_write_duration_seconds":                                          histogram,
	"etcd_grpc_proxy_cache_hits_total":                                              gauge,
	"etcd_grpc_proxy_cache_keys_total":                                              gauge,
	"etcd_grpc_proxy_cache_misses_total":                                            gauge,
	"etcd_grpc_proxy_events_coalescing_total":                                       counter,
	"etcd_grpc_proxy_watchers_coalescing_total":                                     gauge,
	"etcd_mvcc_db_open_read_transactions":                                           gauge,
	"etcd_mvcc_hash_duration_seconds":                                               histogram,
	"etcd_mvcc_hash_rev_duration_seconds":                                           histogram,
	"etcd_network_known_peers":                                                      gauge,
	"etcd_server_apply_duration_seconds":                                            histogram,
	"etcd_server_heartbeat_send_failures_total":                                     counter,
	"etcd_server_learner_promote_successes":                                         counter,
	"etcd_server_range_duration_seconds":                                            histogram,
	"etcd_server_read_indexes_failed_total":                                         counter,
	"etcd_server_request_duration_seconds":                                          histogram,
	"etcd_server_slow_apply_total":                                                  counter,
	"etcd_server_slow_read_indexes_total":                                           counter,
	"etcd_server_snapshot_apply_in_progress_total":                                  gauge,
	"etcd_snap_db_fsync_duration_seconds":                                           histogram,
	"etcd_snap_db_save_total_duration_seconds":                                      histogram,
	"etcd_snap_fsync_duration_seconds":                                              histogram,
}
