// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rules says what specs may hold. Every function is pure; every message says what is wrong, where, and the mend.
//
// # Laws
//
//	R1 Where.  Each error carries the path of its field.
//	R2 Mend.   Each message says what to write instead, or why there is nothing to write.
//	R3 Owned.  A flag that a heaven or node depends on belongs to this provider; nobody else sets it.
package rules
