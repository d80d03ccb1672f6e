// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package beat says what of a lease travels beside Git: that its holder has
// renewed it. A node renews its lease every ten seconds; a commit for each of
// these would be most of what an idle cluster writes.
//
//	{"key": "/registry/leases/kube-node-lease/n1", "uid": "1d1a…", "holder": "n1", "time": "2026-11-22T10:00:00.000000Z"}
//
// # Laws
//
//	B1 Nothing but time.   A beat changes the renewTime of a lease that is there, of the same uid and holder, and nothing else.
//	B2 Forward only.       It never puts that back.
//	B3 All else is Git's.  A lease that is made, changes hands or goes is committed, pushed and merged as any other object.
package beat
