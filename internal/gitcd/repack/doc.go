// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repack makes one small pack of several. It keeps what is reachable
// and leaves the rest behind; it reads packs and writes a stream, and decides
// nothing about files.
//
//	inputs, oldest first ─► table ─► walk from the roots ─► commits ─► trees ─► blobs ─► one pack, its index
//	                        (ids)    (marks what is kept,   as they    as deltas of     as deltas of
//	                                  notes what follows    were       the tree before  the value after
//	                                  what at a path)
//
// The walk compares a commit's tree with its parent's, so its cost follows the
// changes. On the way it learns which value followed which at the same path: of
// two that follow each other the younger is written whole, or on one younger
// still, and the older as a delta of it, so that what is read most is read
// fastest. Deltas of the inputs whose base comes along are copied as they are.
//
// # Laws
//
//	R1 Closed.      The new pack has every object of the inputs that a root reaches. What is neither there, nor settled, nor newer
//	                ends the fold with an error: nothing may be dropped on the word of a walk that did not come through.
//	R2 Same bytes.  What is copied has the checksum that its index tells; what is made a delta was applied before it is written.
//	R3 Settles.     A pack that is folded again alone, with nothing to drop, is the same pack.
//	R4 Bounded.     Memory follows the number of objects folded (about 50 bytes each) and a budget for contents, not their size.
package repack
