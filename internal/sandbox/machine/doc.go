// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package machine makes stand-ins for virtual machines out of namespaces: the
// machine's own systemd boots in them, and the machine's own cloud-init runs the
// user data, so that what a cloud's machine would do is done here.
//
//	network namespace of the host                   network namespace headless-m-NAME
//	┌─────────────────────────────────────┐         ┌──────────────────────────────────────────┐
//	│ veth hm-1a2b3c4d ── route ADDRESS/32 ├─────────┤ eth0 ADDRESS/32, default via the gateway │
//	│ table headless-machines: ADDRESS    │         │ PID 1: machine-init, then systemd        │
//	│ reaches the hub, nothing else       │         │ cloud-init ─► gitcd, kube-apiserver,     │
//	└─────────────────────────────────────┘         │ containerd, kubelet, kube-proxy, pods    │
//	                                                └──────────────────────────────────────────┘
//	STATE/NAME/spec.json     what the machine shall be
//	STATE/NAME/root/         its disk: /etc copied, /usr of the host read-only, the rest its own
//	STATE/NAME/console.log   what its PID 1 says
//
// Create builds the disk and the network and starts PID 1; it does not wait for
// the user data. Watch does this for each GitBackedMachine that waits for an
// external machine, as a person would do by hand.
//
// # Laws
//
//	M1 Reach.     A machine opens connections to the addresses of its spec and to nothing else. Replies are free, so
//	              the host may call the machine.
//	M2 Own disk.  A machine sees the host's programs and nothing else of the host's disk, and changes nothing of it.
//	              Kernel settings that are not of a namespace can not be changed from within.
//	M3 Outlives.  A machine runs on when the process that created it ends.
//	M4 No trace.  Delete leaves no process, mount, namespace, interface, rule, cgroup or file of the machine.
//	M5 Repeat.    Create and Delete bring a state about; each can be repeated after an interruption.
//
// # What it leaves out
//
// The kernel is the host's: there are no modules, no clock and no reboot of the
// machine's own. Units of the host that deal with hardware (udev), logins and
// kernel file systems do not run.
package machine
