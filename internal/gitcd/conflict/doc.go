// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conflict keeps the records of conflicts: a tree of files on one
// branch, below the keys that they are about. It does no I/O of its own.
//
//	merge.Record ─► File ─► <key>/<id>.json ─► List, Find ─► people
//	                              │
//	          a person ─► Resolve ▼
//	                        <key>/<id>.resolved.json, which says who, when and how
//
// # Laws
//
//	C1 Once.      A conflict is filed under one id. One that is there, open or resolved, is not filed again.
//	C2 Kept.      Resolving moves a record and adds to it; nothing takes one out of the tree.
//	C3 By name.   How many are open, and which, is in the names: no record is read to know it.
//	C4 No values. A record holds what merge.Record put in it, so never a value of a Secret.
package conflict
