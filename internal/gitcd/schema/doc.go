// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schema says what a field of a Kubernetes object means to a merge: is
// it one value, a map whose fields merge one by one, a set, or a list whose
// items are known by a key; and what the value as a whole has to keep to. It
// knows no values and does no I/O.
//
//	type of object, path of field ─► Schema.Lookup ─► Field: Atomic, Map, Set or KeyedList; Limits
//
//	Default   rules for every kind, then the table of the types of Kubernetes (kubernetes.txt, by hack/schemagen)
//	Custom    a CustomResourceDefinition
//	Layers    several, of which the first that knows answers
//
// # Laws
//
//	S1 Pure.       The answer depends on the type and the path only, so that all branches merge alike.
//	S2 Unknown is not atomic. A field of which nothing is known has the shape Unknown: the merge goes by the value's own form.
//	S3 Rules first. What holds for every kind is stronger than what was published for one.
package schema
