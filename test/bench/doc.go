// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures gitcd beside etcd and kine on SQLite, in one run, on
// one disk, with fsync on, and prints one table.
//
//	       ┌ work: create, update, ... ┐
//	round ─┤  etcd ─ gitcd ─ kine      ├─► samples ─► medians, ratios, verdicts ─► Markdown, JSON
//	       └  (the order turns around) ┘      ▲
//	          wrong result ───────────────────┘ fails the row
//
// # Laws
//
//	B1 Interleaved. A round takes every server through a phase of some seconds before the next phase begins; the order
//	                turns around with the rounds. Servers whose turn it is not are stopped (SIGSTOP).
//	B2 Durable.     Each server is asked to sync each write. While one client writes, the disk must count a flush for each
//	                write; a server that skips them fails its rows.
//	B3 Checked.     After the load the store is read back. A lost write, a wrong count, a missing event fails the row.
//	B4 Distinct.    No two writes carry the same value, nor an empty one: what a store saves by finding equal values is
//	                not saved here.
//	B5 Settled.     CPU time and bytes are counted from a quiet server to a quiet server and a synced file system: work
//	                that was put off is counted too.
//	B6 Paired.      A ratio is the median of the rounds' ratios. What other processes do to a round hits both sides.
//	B7 Erring fails. An error of a call is counted, and fails the row; a row that failed has no number.
package main
