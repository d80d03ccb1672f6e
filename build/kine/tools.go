// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package kine pins kine, which benchmarks run beside gitcd, unmodified.
package kine

import (
	_ "github.com/k3s-io/kine"
)
