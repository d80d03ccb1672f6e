// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

// LogOf returns a store's log.
func LogOf(s *Store) Log { return s.log }
