// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clients tries what the published client of etcd builds on top of the
// API: locks, elections, software transactions, leased caches, mirrors,
// namespaces, ordering, naming, queues and barriers. Each promise is one that
// the client's documentation makes to its users.
//
// The server is $CONFORMANCE_SERVER, which takes etcd's flags: make conformance
// runs the same tests on etcd itself. Without it, it is bin/gitcd.
package clients
