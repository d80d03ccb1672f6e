// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package etcd pins etcd itself and its command lines, which conformance tests
// and benchmarks run beside gitcd, unmodified.
package etcd

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
