// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps a forge, any Git server, in step with a hub's
// repository: the durable copy away from the hub's volume, and the place where
// others may read, and write.
//
//	hub's refs/heads/* move ─► ledger: since when does the forge lack what? ─► age of the oldest: the RPO
//	        │
//	        ▼
//	  push, compare and swap, all branches in one ──────────────────────────► forge
//	        ▲                                                                   │
//	        └── verdict on each branch ◄── refs/remotes/forge/* ◄── look ◄──────┘  polled, or hinted by a webhook
//	                   │
//	                   └─► what the forge has and we lack ─► hub: merged into main as a branch forge/<name>
//
// A look lists the forge's branches and compares each with ours. The table of
// verdicts is in verdict.go. What the forge was last seen to have is kept in
// refs/remotes/forge/, over restarts: so a branch that went back, or is gone,
// is told from one that was never there.
//
// # Laws
//
//	F1 Off the path.      Nothing waits for the forge: no push, no merge, no notice of the hub.
//	F2 Nothing lost there. A branch of the forge moves forward only, and by compare and swap. One that others have moved
//	                      aside is replaced only when the forge has what they pushed elsewhere: in its main, or kept
//	                      below rewritten/.
//	F3 Nothing obeyed.    What others pushed to the forge never becomes ours by itself. What has history in common with
//	                      main is merged by the hub like any branch; what has none is kept, not merged, and told of.
//	F4 All handed in.     Once the forge answers, it gets all that it lacks, however long it was away and whatever it lost.
//	F5 Within limits.     No two pushes begin within the interval. A forge that asks for patience gets it.
//	F6 Own forge only.    A repository whose history never was ours is not touched.
//	F7 Honest age.        The RPO is the age of the oldest change that the forge lacks, as far as it has confirmed; a
//	                      restart does not make it younger.
//	F8 Home again.        A repository without branches begins with what the forge has, before the first heaven is heard.
package mirror
