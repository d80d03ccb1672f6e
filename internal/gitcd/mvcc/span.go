// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

// toInfinity as an end means every key from the start on.
const toInfinity = "\x00"

// span is a set of keys: one key when end is empty, else those from start on
// and before end.
type span struct{ start, end string }

func (s span) single() bool { return s.end == "" }

func (s span) open() bool { return s.end == toInfinity }

func (s span) contains(key string) bool {
	switch {
	case s.single():
		return key == s.start
	case s.open():
		return key >= s.start
	default:
		return key >= s.start && key < s.end
	}
}

// empty says whether no key can be in the span.
func (s span) empty() bool { return !s.single() && !s.open() && s.end <= s.start }
