// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package journal is the durable, append-only home of a repository's objects
// and refs. A journal's directory is a bare Git repository; the packfile is the
// write-ahead log.
//
//	Append ─► open segment (a packfile in the making) ─► fdatasync ─► acknowledged
//	             │                                  └─► refs move ─► Changed
//	             ├─► Publish, soon after a change: tail pack + packed-refs, for stock Git
//	             └─► full, or much that Git does not see: seal ─► objects/pack/pack-<sha>.pack
//	                                                            └─► Repack: several become one
//
//	Get ◄─ open segments ◄─ sealed packs ◄─ packs and loose objects of others
//
// A segment is a file laid out as a pack. It has room ahead of the writing, and
// is zero-filled there while syncs are small, so that they have no metadata to
// write. Each Append adds one batch: a record,
// which is a legal blob that nothing refers to, and behind it the entries of
// the batch's objects: trees as deltas of their predecessors, values as deltas
// of one of their kind, the rest as it is. The record tells what follows it, checks it, moves refs,
// and carries the caller's own records, which are opaque here. docs/formats/journal.md
// has it by offset and size.
//
// Files below gitcd/ are the journal's own:
//
//	lock                  flock, and who holds it
//	format                the version of all this
//	checkpoint            the caller's checkpoint
//	journal/seg-N.open    the segments that are not yet packs
//	journal/state         where reading starts: refs, number and checksum at the first open segment
//	journal/foreign       the packs that were there before the journal
//	journal/folded        the packs that sealed segments were folded into
//	journal/synced        a hint: up to where the open segment is durable
//	journal/failed        why the last process wrote no more; the next one writes the open segment anew
//
// # Laws
//
//	J1 Durable first.   Append with sync returns after the fdatasync that covers it, and all before it.
//	J2 Whole or absent. A batch is there with all its frames, objects and refs, or not at all.
//	J3 No rewriting.    Bytes below a synced offset never change; damage there is ErrCorrupt, never cut off.
//	J4 One chain.       Batches number their frames without gaps, and each carries the checksum of the one before.
//	J5 One writer.      The lock says who; a second one is told.
//	J6 Always Git.      Stock Git reads the repository at any time, and passes fsck --strict.
//	J7 Records decide.  A ref is what the records say; packed-refs is a hint for Git.
//	J8 Dead is dead.    After a failed write or sync no batch is written or acknowledged any more.
//	J9 True names.      An object's content has its id's hash, and each index finds what its pack has.
//	J10 Written once.   To show Git a change writes that change a few times at most, however much the segment
//	                    holds; what pours in is not copied at all. Stock Git sees the last write within a second
//	                    of it, and while writes pour in what was written five seconds before.
//	J11 No doubt.       A pack is removed only when all that refs, the checkpoint and newer segments reach was
//	                    found without it, durable.
package journal
