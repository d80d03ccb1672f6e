// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hub is the meeting place of a cluster's heavens: a Git server that
// takes their pushes, merges them into main at once, and tells everybody.
//
//	push ─► Admit (who may move what) ─► Receive (fast-forward? durable) ─► answer
//	                                          │
//	                                          ▼
//	                    changed branches ─► pass: one fold over all of them ─► main, conflicts
//	                                                                             │
//	GET /v1/watch ◄── board: ref -> head, wakes whom it concerns ◄───────────────┘
//
// A pass folds the changed branches into main in the order of their names: a
// branch that main holds is nothing, a branch that holds main is the new main,
// anything else is a three-way merge by key. One commit joins all of these to
// main; only a branch with conflicts has one of its own. Pushes of leases and
// heartbeats alone wait for each other (LazyWait), or for somebody else's pass.
//
// # Laws
//
//	H1 Own branch only.    A client certificate's common name is the branch it may push, and its side branches
//	                       fenced/<branch>/<epoch>. Main and conflicts move by the hub's hand alone.
//	H2 Forward only.       A branch moves to a descendant or not at all.
//	H3 Durable, then told. A push is answered, and a ref is announced, after a sync that covers it. A push does not wait for the merge.
//	H4 Nothing lost.       What a branch had before a merge is in main after it, in a conflict record, or in quarantine, both sides reachable.
//	H5 Deterministic.      A pass's commits are a function of main and the branches: no clock but for rates, no names of machines.
//	H6 One bad apple.      A branch that cannot be merged keeps its own error and its place; the others are merged.
//	H7 By the change.      A pass looks at the branches that were pushed, and at what differs in them.
//	H8 Slow is alone.      A slow watcher misses values in between, never the last one, and delays nobody.
//	H9 Gated.              What is outside a branch's gate never reaches main, or another heaven beside it, but by a person's word; the rest of the branch does. As main
//	                       holds the branch, the branch gets main's value back: trees are equal afterwards.
package hub
