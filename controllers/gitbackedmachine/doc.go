// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitbackedmachine provides the infrastructure of a Machine of a
// headless cluster. It keeps Cluster API's InfraMachine contract.
//
//	Machine ─► GitBackedMachine (external) ─► spec.providerID, at once
//	Machine.spec.bootstrap.dataSecretName ─► provisioned: there is user data to run
//	someone's machine runs it ─► Node, by Git ─► Machine.status.nodeRef ─► Ready, addresses
//	its kubelet asks for a serving certificate, by Git ─► approved at the front door, so that logs and exec work
//
// A machine that is external is somebody else's: nothing is made for it and
// nothing of it is deleted. What the owner has to do is said in conditions and
// events.
//
// # Laws
//
//	1 Finalizer first.  Nothing is done before the finalizer is on the object.
//	2 One provider ID.  It is set before any machine can run the user data, and never changes once set.
//	3 Once and for all. status.initialization.provisioned never becomes false again.
//	4 One judge.        Conditions follow from one table of states, written by nobody else.
//	5 Said clearly.     What the object waits for is in the message, with what to do.
//	6 Own names only.   A kubelet's serving certificate is approved if and only if it is for the Node's own name and
//	                    addresses, asked for by that very Node.
package gitbackedmachine
