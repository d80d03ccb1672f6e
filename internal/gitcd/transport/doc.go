// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package transport speaks the Git protocol over HTTP, both ends of it. It
// moves packs and ref names; what a push may do, and what becomes of it, is
// decided by whoever owns the repository.
//
//	stock git, another gitcd ──POST──► Server ─► Admit ─► pack ─► Complete ─► Receive
//	stock git, another gitcd ◄──pack── Server ◄─ Missing ◄─ Repository
//	Client ─► ListRefs, Fetch, Push ─► any Git server
//
// # Laws
//
//	T1 Verified first.  Before a ref moves, every object a push or a fetch brings is parsed, named
//	                    by its own hash, and complete: what it names came along or was there.
//	T2 Plain trees.     Trees hold files (100644) and directories (40000) with names that no file
//	                    system can be fooled by. Anything else is refused, with its path.
//	T3 Bounded.         Bytes on the wire, number of objects, size of one and of all are limited
//	                    before they are held.
//	T4 Nothing extra.   Objects that no pushed ref reaches are dropped, so that what a store has, it
//	                    has with all that belongs to it.
//	T5 Sent is enough.  A fetch sends all that the wants reach and the haves do not. It may send more.
//	T6 Old is honoured. A push names the value each ref is moved from; the server compares and swaps.
package transport
