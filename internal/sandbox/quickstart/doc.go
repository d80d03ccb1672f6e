// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quickstart walks the whole story of a headless cluster, as its user
// would: with clusterctl and kubectl.
//
//	host up ─► images ─► clusterctl repository ─► clusterctl init
//	  ─► clusterctl generate cluster | kubectl apply ─► API ready ─► a machine runs the user data ─► Node Ready
//	  ─► a Deployment's pods Running ─► HTTP through a NodePort ─► what there is to see
//
// # Laws
//
//  1. Every step looks first whether its state is there: a story that was
//     interrupted, or told before, goes on where it is.
//  2. What is measured is measured once: a time that was taken when the state
//     came about is kept beside it, and told again when the story is.
//  3. A bar that is missed is told, not hidden; it is not a failure of the story.
//  4. What the story made it can remove: the host in the sandbox, or on another
//     host the cluster and the providers that the story installed.
package quickstart
