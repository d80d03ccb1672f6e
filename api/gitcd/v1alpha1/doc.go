// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is gitcd's configuration file: the one thing that both wings of the house know. The provider wing
// writes it, cmd/gitcd reads it. It is a file, not a resource.
//
//	apiVersion: gitcd.trishanku.org/v1alpha1
//	kind: Config
//	repository: /var/lib/gitcd/repository.git
//	branch: heavens/kube-scheduler
//	author: {name: kube-scheduler, email: kube-scheduler@blue.headless}
//	listeners: [{url: "unix:///run/gitcd/gitcd.sock"}]
//	upstream: {url: "https://blue-hub.default.svc:8443", caFile: ..., certFile: ..., keyFile: ...}
//
// # Laws
//
//	F1 Strict.     An unknown or doubled field is an error: a typo never becomes a default.
//	F2 One role.   A file describes a branch's server (branch, listeners) or a hub (hub), never both.
//	F3 Complete.   What Load returns has every default filled in; nobody else defaults.
//	F4 No secrets. The file names key files; it holds no keys.
package v1alpha1
