// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package etcd pins etcd's own tests, which make conformance runs with gitcd in
// etcd's place.
package etcd

import (
	_ "go.etcd.io/etcd/tests/v3/framework/e2e"
)
