// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcdapi speaks etcd's v3 gRPC API in front of an mvcc.Store, a file
// per verb. It checks the shape of requests, translates, and decides nothing.
//
//	client ─► gRPC ─► check ─► mvcc.Store ─► translate ─► client
//
// # Laws
//
//	E1 Same words.    Errors have etcd's codes and texts: clients compare them.
//	E2 Same shapes.   A request that etcd refuses for its shape is refused before it reaches the store.
//	E3 Own revision.  Every header carries the store's revision, which is never 0 and never goes back.
//	E4 One sender.    Only one goroutine sends on a stream.
//	E5 Honest refusal. What gitcd does not do answers Unimplemented and says what to do instead.
package etcdapi
