// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitbackedcluster provides the infrastructure of a headless cluster:
// the repository that is its state. It keeps Cluster API's InfraCluster contract.
//
//	Cluster ─► GitBackedCluster ─► GitRepository <cluster> ─► Ready ─► provisioned
//
// # Laws
//
//	1 Finalizer first.  Nothing is made before the finalizer is on the object.
//	2 Infra goes last.  The object stays until its GitRepository is gone; core deletes it after everything else.
//	3 Not ours, kept.   A GitRepository that somebody else made is used as it is, and never changed or deleted.
//	4 Once and for all. status.initialization.provisioned never becomes false again.
//	5 One judge.        Conditions follow from one table of states, written by nobody else.
package gitbackedcluster
