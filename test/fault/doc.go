// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fault has everything around gitcd fail while clients use it: the
// disk, the network, the clock, and other clients. Power cuts are in test/crash.
//
//	etcd's client ─► etcdapi ─► store ─► journal ─► vfs.Mem ◄─ a hook that refuses, delays or lies
//	etcd's client ─► gitcd serve ─► a small disk, a limit, strace
//
// # Laws
//
//	F1 Full is no end.    A full disk refuses writes in etcd's words; reads go on, nothing acknowledged is lost, and writes go on when there is room.
//	F2 Failed is final.   After a write or sync that failed nothing is acknowledged; the process ends and says what to do.
//	F3 No wrong value.    What a disk hands out damaged, or not at all, is an error that names the file; never another value, never a panic.
//	F4 Named.             gitcd verify finds what reading would find, and exits with 4.
//	F5 Slow is alone.     Nobody waits for a slow disk but writers, for a slow client but itself, for an upstream but nobody.
//	F6 Time only grows.   A clock that steps back takes no commit time, revision or lease with it.
//	F7 Any order.         Closing in any order, or twice, hangs nothing and loses nothing.
package fault
