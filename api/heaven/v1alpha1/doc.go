// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the parts that a headless control plane is made of, and the words that other groups borrow.
//
//	HeadlessControlPlane ─┬─► TrishankuHeaven  one component, its own kube-apiserver, its own gitcd, one branch
//	                      └─► AutomatedMerge   the hub: receives the branches, merges them into main
//	GitBackedCluster ───────► GitRepository    where the durable history lives
//
// # Laws
//
//	H1 Not in the owner graph. Heavens and merges carry labels and finalizers, never an owner that clusterctl moves:
//	                           they run on, until fenced, while their Cluster moves.
//	H2 One branch, one heaven. The branch and the cluster of a heaven never change.
//	H3 Names, not secrets.     Specs name Secrets; no spec or status holds key material.
//
// +kubebuilder:object:generate=true
// +groupName=heaven.trishanku.org
package v1alpha1
