// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reconcile is the shape that a reconcile of each of our kinds has: phases gather facts into a scope, tables of
// states make conditions of the facts, and the object is written down once, at the end.
//
//	object --Open--> paused? finalizer? --Run--> its phases, in order --> scope, the facts
//	  scope --Table.Decide--> conditions --Patch--> the object's status, metadata and spec
//	  condition before, condition now --Announce--> an Event, if it says something else
//
// Laws:
//
//  1. The first row of a table that matches decides. Without one the condition is Unknown, NotObserved: what was not seen
//     is not False.
//  2. A phase that fails ends the phases and the failure is the caller's. One that says ErrStop ends them in peace: what it
//     waits for is a fact by then, and brings the object back.
//  3. An object that has lost its last finalizer may be gone before its status is written: that is no failure.
//  4. An Event tells of a change of status or reason, once: a message may change with every look.
package reconcile
