// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package headless runs a headless cluster out of plain processes: a hub, and
// the heavens of the front door, kube-controller-manager and kube-scheduler,
// each a real gitcd with a real kube-apiserver and the real component. It needs
// no root and no containers; the binaries are those of `make build-test`. With
// the build tag e2e there is a machine controller's heaven, too (`make machines`).
package headless
