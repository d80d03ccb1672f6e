// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki holds every key and certificate of a headless cluster: who makes it, in which Secret it lies, and
// when it is made anew.
//
//	<cluster>-ca ----+--> kube-apiserver.crt   (serving)          \
//	                 +--> kubelet-client.crt   (to the kubelets)   |  one Secret for each heaven,
//	                 +--> <component>.conf     (a kubeconfig)      |  owned by its TrishankuHeaven
//	<cluster>-proxy ---> front-proxy-client.crt                    |
//	<cluster>-git-ca +-> hub-client.crt        (CN = branch)      /
//	                 +-> hub.crt               (serving)          \  one Secret for each AutomatedMerge
//	                 +-> hub-admin.crt         (asks for status)  /
//	<cluster>-sa           signs the service accounts' tokens, the same in every heaven
//	<cluster>-encryption   the EncryptionConfiguration, the same in every heaven
//	<cluster>-kubeconfig   the administrator's way in, by the front door
//
// The names <cluster>-ca, -proxy, -sa and -kubeconfig, their type, label and keys are those of Cluster API's contract.
//
// Laws:
//
//  1. What a user provides is used and never changed: an authority, a key or a kubeconfig that exists is not made
//     again, and only what this package made carries the control plane's owner reference.
//  2. A decisive Secret (an authority, the service account key, the encryption key) is made once. It is owned by the
//     control plane, so that clusterctl moves it with the cluster.
//  3. A leaf certificate is made again if and only if it is unreadable, does not belong to its key or its authority,
//     says something else than it is wished to say, or has less than a third of its life left. Otherwise the same
//     bytes are handed back, so that nothing restarts without a reason.
//  4. No leaf outlives its authority, and each renewal says why it happened.
//  5. The time is a parameter: nothing here reads a clock except what Cluster API's own generators read.
package pki
