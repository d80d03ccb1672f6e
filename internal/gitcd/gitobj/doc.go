// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitobj knows what Git objects are made of: ids, blobs, trees and
// commits. Bytes go in, bytes come out; there is no I/O.
//
//	Commit, Tree, []byte ─► Encode ─► content ─► Hash ─► ID
//	content ─► DecodeCommit, DecodeTree ─► Commit, Tree
//	content of a large tree ─► Cursor ─► the entries of interest
//
// # Laws
//
//	O1 Git's ids.   Hash gives the id that stock Git gives, with collision detection.
//	O2 Round trip.  Decoding what Encode wrote gives the same value.
//	O3 Fsck-clean.  What Encode writes passes `git fsck --strict`, whatever the names of people.
//	O4 No silence.  Content that is not an object of its kind is an error that names the place.
//	O5 By leaps.    A Cursor that leaps through a tree stands where one would that reads each entry.
package gitobj
