// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 says where a headless cluster's state lives and what machines it has: Cluster API's infrastructure
// contract v1beta2.
//
//	Cluster ─► GitBackedCluster ─► GitRepository <cluster>
//	Machine ─► GitBackedMachine ─► a machine that someone brings (external)
//
// # Laws
//
//	I1 Infra goes last.       The repository outlives everything that writes to it.
//	I2 One provider ID.       A GitBackedMachine's provider ID is what its kubelet is started with; it never changes once set.
//	I3 No failure domain.     GitBackedMachine has no spec.failureDomain: core would overwrite the Machine's with it.
//
// +kubebuilder:object:generate=true
// +groupName=infrastructure.cluster.x-k8s.io
package v1alpha1
