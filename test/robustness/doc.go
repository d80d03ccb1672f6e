// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package robustness runs etcd's robustness traffic on a server that is killed
// and paused meanwhile, and lets etcd's own validators judge what the clients
// saw: is there one order of all requests that explains every answer, and does
// every watch keep its promises?
//
//	traffic (etcd's) ─► server ◄─ kill -9, SIGSTOP
//	      │               │
//	      ▼               ▼
//	what clients saw   what was kept ─────────────► replayed ═ git show main
//	      │               │ etcd: its raft log
//	      │               │ gitcd: the op records in the repository's packs
//	      └──► validators ◄┘
//
// The server is a binary that takes etcd's flags, $ROBUSTNESS_ETCD; that it is
// gitcd is seen from what it leaves. What it kept is read by a reader that shares
// no code with gitcd: it follows docs/formats/journal.md, and the comment on the
// op record in internal/gitcd/mvcc.
//
// # Laws
//
//	T1 Explained.    All that clients saw fits the requests that were kept, in their order: no acknowledged write is lost,
//	                 none happens twice, no read and no watch sees what was not.
//	T2 Same tree.    Replaying what was kept gives the tree that stock Git shows, key for key and value for value.
//	T3 Not asleep.   A kept request that is taken away is missed by the validators.
package robustness
