// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bootstrap writes the user data that turns a machine into a node of a
// headless cluster. It is pure: it reads no clock, draws no random number and
// calls nobody.
//
//	Input ─► Certificates ─► wishes, for internal/pki to fulfil
//	Input with their files ─► UserData ─► "#cloud-config": write_files, runcmd
//
// On the machine cloud-init writes the files and runs one program, bootstrap,
// which checks that the machine image has what is needed and starts these units:
//
//	headless-node                 what is known on the machine only: its address, its cgroup driver
//	headless-gitcd-init           clone the cluster's main, take the epoch of branch nodes/<node>
//	  headless-gitcd              the store, on a Unix socket; exchanges commits with the hub
//	    headless-kube-apiserver   the node's own, on every address, port 6443
//	      headless-kubelet        by way of containerd
//	      headless-kube-proxy
//	headless-kubernetes-service   leads the Service default/kubernetes to the node's own kube-apiserver
//
// # Laws
//
//	B1 Same bytes.   Equal input gives equal user data.
//	B2 Hub only.     After the user data was read, the node needs the network for nothing but the hub: no unit names
//	                 another address, and nothing is downloaded.
//	B3 Own heaven.   kubelet, kube-proxy and every pod on the node talk to the node's own kube-apiserver.
//	B4 Secret files. Keys lie in files that root alone can read; no unit, command or argument holds one.
//	B5 Least keys.   The node gets what its kube-apiserver must share with all others (the service accounts' keys, the
//	                 encryption key) and certificates for its own names. It gets no authority's key and no
//	                 administrator's certificate.
//	B6 Said clearly. What the machine lacks is named, with the mend, in cloud-init's output; then nothing is started.
//
// # What it leaves out
//
// The node's own kube-apiserver has no certificate that lets it into the kubelet:
// logs and exec go by the front door. Leaf certificates are valid for a year; a
// node is replaced before that.
package bootstrap
