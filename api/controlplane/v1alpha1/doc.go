// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 says what a headless control plane shall be: Cluster API's control plane contract v1beta2.
//
//	Cluster ─► HeadlessControlPlane ─┬─► AutomatedMerge <cluster>
//	                                 ├─► TrishankuHeaven <cluster>-apiserver (the front door)
//	                                 ├─► TrishankuHeaven <cluster>-kube-controller-manager
//	                                 ├─► TrishankuHeaven <cluster>-kube-scheduler
//	                                 └─► TrishankuHeaven <cluster>-<component> for each additional one
//
// # Laws
//
//	C1 No machines.  There are no control plane Machines and no replicas; status.externalManagedControlPlane is always
//	                 true, so that core drains worker Machines and deletes their Nodes.
//	C2 Versions say. status.versions lists what really runs, oldest first, also while an upgrade goes on.
//	C3 Names of the Cluster. Everything made is named after the Cluster, never after this object, whose name a topology chooses.
//
// +kubebuilder:object:generate=true
// +groupName=controlplane.cluster.x-k8s.io
package v1alpha1
