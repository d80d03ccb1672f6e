// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pack reads and writes Git's packfiles, version 2, and their indexes.
//
//	objects ─► Writer ─► stream ─► Scan ─► objects     what goes over a wire
//	segment bytes + offsets ─► AppendIndex ─► .idx     what lies on a disk
//	id ─► File.Get ─► Index.Find ─► Resolve ─► content
//
// A pack is "PACK", the version, the number of entries, the entries, and the
// SHA-1 of all that. An entry is a header, for a delta its base, and a zlib stream:
//
//	header    one or more bytes of 7 bits, low bits first, the top bit says "more":
//	          4 bits of size, 3 bits of type; then 7 bits of size each
//	OFS_DELTA the distance back to the base's entry, high bits first, each "more" adds one
//	REF_DELTA the base's id
//
// gitcd writes its own entries as stored zlib streams: no CPU on the way of an
// acknowledgement, and the content can be cut out without inflating.
//
// # Laws
//
//	P1 Git reads what this writes, and this reads what Git writes.
//	P2 Damage is an error. No input makes it panic, loop, or allocate beyond the limits.
//	P3 Ids are computed, never believed.
package pack
