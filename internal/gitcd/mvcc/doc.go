// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mvcc is the one door for every change of one branch: client
// transactions, expiring leases, compactions and incoming merges.
//
//	Txn, Lease, Compact, Merge ─► inbox ─► line ─► Log.Append ─► syncer ─► Log sync ─► publish
//	                                        │       (op record,                │         │
//	                                        │        value blobs)              │         ├─► answers
//	                              index + what is not durable yet              │         ├─► watch hub ─► streams
//	                                                                           │         └─► snapshot for readers
//	                                                                           └─► committer ─► trees, commit, branch ref
//
// The line orders all changes and gives them revisions. What it forms while an
// earlier batch syncs is written behind it and rides on the next sync. Readers
// use the last published snapshot and never wait for the line. The committer
// follows behind, and turns op records into Git commits.
//
// # Laws
//
//	M1 Durable first.     A change is answered, readable and seen by watchers only after a sync that covers it.
//	M2 One order.         Revisions grow by one per transaction that changes something, and by one per changed key in a merge;
//	                      nothing else takes a revision. The first one is 1, with no keys.
//	M3 Events first.      A revision's events are with the watch hub before any reader can see the revision.
//	M4 Every change once. A watcher sees every change in its range from its start on, in order, a revision never torn; or is
//	                      canceled as compacted.
//	M5 Immutable views.   A snapshot never changes. Two reads at one revision agree, until the revision is compacted; then both fail.
//	M6 Replay is equal.   The last checkpoint and the op records after it give the same revisions, versions, leases and history.
//	M7 Commits follow.    The commits are a function of the op records alone: derived again after a crash they have the same ids.
//	M8 Slow is alone.     No slow client, watcher, directory or network delays the line.
//	M9 Failed is final.   After a write or sync that failed nothing is acknowledged any more.
//	M10 Full is no failure. What the log has no room for is refused and leaves no trace. Until the alarm ends only what
//	                      adds nothing is taken; reads, watches and leases go on.
//	M11 Aside.            What is put aside is as durable as all else, and in no tree: that keeps what it had until a client writes
//	                      the key or a merge changes it.
package mvcc
