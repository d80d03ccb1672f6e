// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sandbox says what the one-machine host is made of: where its state
// lies, which addresses it takes, and which versions it runs. It does nothing
// itself; the packages below it do.
//
//	             the machine                          network namespace "headless-host"
//	┌──────────────────────────────────┐      ┌───────────────────────────────────────────────┐
//	│ veth headless-host 10.201.0.254  ├──────┤ bridge node0 10.201.0.1   cni0 10.202.0.1     │
//	│ routes to 10.202/16 and 10.203/16│      │ store, kube-apiserver, controllers, scheduler,│
//	│                                  │      │ containerd, kubelet, kube-proxy, pods         │
//	└──────────────────────────────────┘      └──────────────┬────────────────────────────────┘
//	                                           sandbox machines: one veth each on node0
//
// The rooms below:
//
//	doctor       what the machine must have, and how to mend what it lacks
//	build        binaries from pinned Go modules
//	images       container images from binaries
//	command      other programs
//	fingerprint  whether a file is what it was
//	narrate      steps, their times, and where the log is
//	network      namespace, bridge, veth, routes
//	cgroup       one cgroup tree that holds every process of the host
//	credentials  certificates and kubeconfigs
//	mountns      the file system as the components see it
//	supervisor   keeps components running
//	host         the components, and up, down, status
//	addons       DNS, storage class, cert-manager
//	provisioner  hostPath volumes for claims
//	machine      stand-ins for virtual machines
//	gate         their way to a hub beyond this machine
//	quickstart   the whole story, from nothing to pods that answer
//
// # Laws
//
//  1. Everything the host makes lies below the state directory, in its network
//     namespace, in its mount namespace, or in its cgroup; the rest is one veth
//     and two routes, and Down removes those too.
//  2. No kernel setting of the machine is changed: what the kubelet insists on
//     is shown to it as files in its own mount namespace.
//  3. Up and Down can be repeated: each brings about a state, and does not
//     depend on where the last one stopped.
package sandbox
