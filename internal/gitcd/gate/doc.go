// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gate says what a branch may change in main: by key, by verb, by
// field, by relation and by rate.
//
//	merge of a branch into main ─► changes: key, main's value, the new value
//	                                   │
//	gates: the first for this branch ──┼── rules ─► each part of a change is covered by one, or it is outside
//	main's tree ─► pods, roles ────────┘      └───► rates ─► too many at once wait for a person
//
// A rule covers parts of a change: the creation, the deletion, or fields of an
// update. What no rule covers makes the whole change of that key outside, and
// the reason names it. An update that gives the object another uid is a
// deletion and a creation. A deletion that begins (deletionTimestamp) is a
// deletion too.
//
// "rbac" rules cover what RBAC in main allows somebody: the users of a
// component, or the service accounts of the pods that main has bound to a
// node. The subresources that change fields of the object (status, binding,
// eviction, scale ...) are told by the fields.
//
// # Laws
//
//	G1 By the effect.     Judged is what a merge would do to main, not what is in a branch's commits.
//	G2 By the change.     What is read is what changed, in the merge and in main since the last judgement. An open gate reads nothing.
//	G3 Closed.            With rules, what none of them covers is outside. What cannot be read is outside, unless a rule asks for no more than key and verb.
//	G4 Main's word.       Relations and RBAC are taken from main before the merge: no branch can grant itself a right.
//	G5 Pure.              Equal gates, main, changes and times get equal verdicts, in any order of rules.
//	G6 Whole.             A key's change goes on as a whole or not at all. A batch over its rate waits as a whole.
package gate
