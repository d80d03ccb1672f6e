// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package heaven says what a headless control plane consists of, and what is to be done next. It is pure: it reads no
// clock, draws no random number and calls nobody.
//
//	Cluster, HeadlessControlPlane --Set--> AutomatedMerge, TrishankuHeavens     what there shall be
//	wanted, existing --------------Plan--> steps, each with its why             in which order
//	TrishankuHeaven, its Secrets ---Objects--> ConfigMap, claim, Service, Deployment
//	AutomatedMerge ----------------HubObjects--> ConfigMap, claim, Service, Deployment
//	Deployment, Pods --------------Observe--> how far it is, and what it waits for
//	Service, Nodes ----------------Locate--> where it is reached
//
// A heaven's pod starts strictly in this order, and stops in the reverse one, so that no process ever waits for one
// that is already gone, and the last acknowledged write is pushed:
//
//	gitcd-init        clone or create the repository, take the epoch; waits for main to exist
//	gitcd             the store, on a Unix socket
//	kube-apiserver    begins when gitcd serves
//	the component     begins when kube-apiserver is ready; the front door has none
//
// Laws:
//
//  1. Equal input, equal bytes: whatever is computed here depends on its arguments alone, and every list has a fixed order.
//  2. A pod restarts if and only if something changes that its processes read once: an annotation of the pod template is
//     the digest of all mounted content.
//  3. One writer a branch: one replica, and the old pod is gone before the new one starts.
//  4. Only the front door keeps the endpoints of Service default/kubernetes, and only it creates the first objects; every
//     other heaven begins after main exists.
//  5. What a heaven depends on cannot be overridden: a protected flag or a reserved name is an error that names it.
//  6. Nothing listens beyond its pod without mutual TLS: gitcd serves a Unix socket and the loopback device; kube-apiserver
//     lets anonymous requests reach nothing but its health.
//  7. Every step of a plan says why.
package heaven
