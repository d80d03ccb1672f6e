// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chaos runs a headless cluster of real programs through faults at
// random, lets it rest, and asks an oracle whether anything was lost.
//
//	             front door   kube-controller-manager  kube-scheduler  nodes          each with a gitcd
//	workload ──► (nothing)    the real one             the real one    a kubelet,     and a kube-apiserver
//	                 │            │                         │          hollow or real
//	                 │            │                         │              │
//	                 └────────────┴──────── links ──────────┴──────────────┘          cut, silent, slow
//	                                          │
//	                                      gitcd hub                                   killed, paused, as all others
//
// People create, scale, roll and delete Deployments, Jobs, Pods, Services
// and ConfigMaps at the front door while links are cut, go silent one way or
// both, or are slow, and while processes are killed (-9) or stand still. Each
// gitcd, the hub's too, is killed in turn: at any time, amid a push, before it
// hears what came of one, and with acknowledged writes that nobody else has. In
// the end all is healed and the controllers come to rest. Then the oracle looks
// at what people were told, what nodes ran, and every commit of every branch:
//
//	C1. All branches have the tree of main.
//	C2. Nothing acknowledged is lost: what was created is there unless its
//	    deletion was asked for, what was deleted is gone, and each field has what
//	    it was set to last, or a conflict is on record about it. Meanwhile, too:
//	    the front door reads and answers with what it has acknowledged.
//	C3. Nothing is doubled: there are as many pods as are asked for, each with
//	    an owner that exists.
//	C4. Nothing is resurrected: a uid that is gone in a commit is in none that
//	    follows it, unless it is being deleted and waits for a finalizer.
//	C5. No pod is bound twice, in any commit; no two nodes ran one pod; each
//	    node runs what main says.
//	C6. No pod is evicted because its node was out of reach for a while.
//	C7. What a conflict on record did not take can be read, and no component did
//	    what its gate forbids.
//
// The order of faults follows from a seed, which is printed. A hollow node is
// no kubelet: it does at its own kube-apiserver, with a kubelet's rights, what a
// kubelet does there, and "runs" pods by taking note of them. The variant with
// kubelets and containers has the build tag e2e and needs root. With -chaos.keep
// the repositories and logs of a run that failed are kept.
package chaos
