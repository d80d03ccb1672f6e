// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 says how a machine becomes a node of a headless cluster: Cluster API's bootstrap contract v1beta2.
//
//	Machine ─► HeadlessConfig ─► Secret <config> (key value: cloud-init user data) ─► the machine: gitcd, kube-apiserver, kubelet
//
// # Laws
//
//	B1 One name.     The data Secret has the config's own name, so that it is found again after a move.
//	B2 Written once. A data Secret that exists is kept: a machine may have read it.
//
// +kubebuilder:object:generate=true
// +groupName=bootstrap.cluster.x-k8s.io
package v1alpha1
