// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e walks the quick start as a user would, as root, and asserts what
// it promises: the headless cluster, its speed and size, its secrets, its end.
// Its test has the build tag e2e.
package e2e
