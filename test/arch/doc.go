// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package arch holds the shape of the house in tests: which room may import
// which, that each room says in a package comment what it is for, and that the
// table in docs/architecture.md is the one enforced here. It uses only
// `go list`, so it runs wherever Go does.
package arch
