// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exchange keeps one branch and its upstream in step: it hands in what
// the heaven wrote, and brings home what the others did.
//
//	            head moved                          own head is in main, or time is up
//	  ┌──────┐ ───────────► push (compare and swap) ───────────────┐
//	  │ idle │                                                     ▼
//	  └──────┘ ◄─────────── merge ◄─── fetch ◄─── main moved ── await
//
//	watch stream (or polling) ─► news: ref -> head, the last value only ─┐
//	store.HeadChanged ───────────────────────────────────────────────────┼─► step ─► Remote, Store
//	clock: back-off, company for lazy changes ───────────────────────────┘
//
// A round is: push, wait until the hub has merged the push, merge main, push
// what was written meanwhile. Because no second push goes out before main holds
// the first, main and the branch always have one best common ancestor, and a
// change that is in both is never taken for a conflict. If main does not come
// in time, the round goes on without it.
//
// A hub's stream brings what main grew by along with the news of it, so that
// fetch asks nobody. Heartbeats wait for company, on the way there and on the way
// back (lazy.go); that a lease was renewed travels beside Git (beats.go).
//
// # Laws
//
//	X1 Off the line.     No network call is made while the store waits. The store is only asked and told.
//	X2 Own head.         What stands at the branch's head upstream is always a commit of the branch's writer: a head
//	                     that only followed main is not pushed. Its trailers say who writes, in which epoch.
//	X3 Nothing skipped.  All that was acknowledged is in the branch, and all of the branch is pushed, before Run returns
//	                     without error; if the upstream is out of reach, on the next start.
//	X4 One writer.       A head upstream that is not in the own history means that somebody else has the branch: serving
//	                     stops, what was not pushed goes to fenced/<branch>/<epoch>, Run returns a FencedError.
//	X5 The last counts.  News between two steps are one; a slow step skips values, never the last.
//	X6 Patient.          A link that is down is tried again with growing pauses, for ever; the first sign of life ends the pause.
//	X7 Main by swap.     Where no hub merges, main moves by compare and swap to a head that holds it: whoever is second
//	                     merges first what the first one did.
//	X8 Beside is less.    What travels beside Git is in the own branch later, and in nobody else's before. What the upstream does
//	                      not take goes by Git.
package exchange
