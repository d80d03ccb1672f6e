// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package headlessconfig writes the user data that makes a machine a node of a
// headless cluster. It keeps Cluster API's BootstrapConfig contract.
//
//	Machine ─► HeadlessConfig ┐
//	Cluster, AutomatedMerge ──┼─► bootstrap.Input ─► bootstrap.UserData ─► Secret <config>, key value
//	cluster Secrets ──────────┘        certificates for this node alone
//
// # Laws
//
//	1 Written once.  A data Secret that exists is kept, byte for byte, whatever changes: a machine may have read it. That
//	                 holds after a move, when the status is lost and the Secret, found by its name, is not.
//	2 Never foreign. A Secret of that name that is not the config's is neither used nor changed.
//	3 Node = Machine. The Node is named after the Machine, and so is its branch.
//	4 One judge.     Conditions follow from one table of states, written by nobody else.
//	5 Nothing left.  All that is made is owned by the config; there is no finalizer, since there is nothing else.
package headlessconfig
