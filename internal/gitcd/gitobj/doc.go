// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitobj knows what Git objects are made of: ids, blobs, trees and
// commits. Bytes go in, bytes come out; there is no I/O.
//
//	Commit, Tree, []byte ─► Encode ─► content ─► Hash ─► ID
//	content ─► DecodeCommit, DecodeTree ─► Commit, Tree
//
// # Laws
//
//	O1 Git's ids.   Hash gives the id that stock Git gives, with collision detection.
//	O2 Round trip.  Decoding what Encode wrote gives the same value.
//	O3 Fsck-clean.  What Encode writes passes `git fsck --strict`, whatever the names of people.
//	O4 No silence.  Content that is not an object of its kind is an error that names the place.
package gitobj
