// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crash ends gitcd without warning, again and again, and looks at what is left.
//
//	clients ─► store on a journal on vfs.Mem ──cut──► crash clones ─► open ─► compare with the oracle
//	   │            ▲                                     ▲  │                     ▲
//	   │            └── opened again, goes on ────────────┼──┘  power goes again ──┘
//	   └─ what they were told, read and watched ──────────┴─► oracle: a model that replays the history
//
//	clients ─► gitcd serve ──kill -9──► gitcd serve ─► compare; git fsck
//
// A round is a workload that is cut off before a random operation on the disk,
// in each way that vfs knows. What a round finds broken it prints with the seed,
// the command that repeats it, and a copy of the disk.
//
// # Laws
//
//	C1 Kept.      What was acknowledged is there, with its revision, version and lease.
//	C2 Whole.     A transaction, a revocation and a merge are there with all that they do, or not at all.
//	C3 Seen.      What a reader or a watcher saw does not change, and no revision goes back below it.
//	C4 Once.      What was not there when the store was opened does not come back later.
//	C5 Same ids.  Each commit that was the head once is in the history of the head.
//	C6 Same keys. The tree of the head has the keys of the store, and their values.
//	C7 Sound.     Every law of the journal holds, and Git passes fsck --strict.
package crash
