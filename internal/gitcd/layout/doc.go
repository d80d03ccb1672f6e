// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package layout says how keys and values lie in a Git tree. It is pure.
//
//	key   ─► Split ─► components of a path ─► Join ─► key
//	value ─► Blob  ─► content of a file    ─► Value ─► value
//	key   ─► Grains.Of ─► Full, Batch or Local: how much history the key gets
//
// A key's leading slash is dropped; a key without one lies below the top
// directory "%-". What is between slashes becomes one component:
//
//	byte below 0x21, above 0x7e, or one of % \ : " * < > | ? ~   %XX
//	nothing between two slashes                                  %_
//	".", "..", or ".git..." in any case of letters               %2E for the first dot
//	over 200 bytes, thus encoded                                 directories "piece%+", last the rest
//
// A key that is also a directory of other keys lies at "<path>/%". Whether it
// is depends on the other keys, so the editor of the tree decides it; Join
// understands both places.
//
// A value that is JSON without white space is stored indented, one field a line,
// so that `git diff` and `git blame` read well. One newline behind it is kept.
// Every other value is stored as it is, behind the line "%gitcd raw" where it
// would be mistaken for something else.
//
// # Laws
//
//	L1 Injective keys.   Two keys never share a path; Join gives back what Split took, for any bytes.
//	L2 Canonical paths.  Join refuses a path that Split would not have made.
//	L3 Fsck-clean.       `git fsck --strict` accepts every name.
//	L4 Exact values.     Value(Blob(v)) is v, byte for byte, for any v.
//	L5 Function of v.    Equal values have equal blobs; unequal values have unequal blobs.
package layout
