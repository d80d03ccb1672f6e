// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schema says what a field of a Kubernetes object means to a merge: is
// it one value, a map whose fields merge one by one, a set, or a list whose
// items are known by a key. It knows no values and does no I/O.
//
//	type of object, path of field ─► Schema.Lookup ─► Field: Atomic, Map, Set or KeyedList
//
// Default knows what holds for every kind, by path. Schemas of built-in types
// and of custom resources plug in behind the same interface.
//
// # Laws
//
//	S1 Pure.       The answer depends on the type and the path only, so that all branches merge alike.
//	S2 Unknown is not atomic. A field of which nothing is known has the shape Unknown: the merge goes by the value's own form.
package schema
