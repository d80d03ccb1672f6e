// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is the CRC-32C of a value.
func sumOf(value []byte) uint32 { return crc32.Checksum(value, castagnoli) }

// note keeps the sum of a version's value, which is in memory now: who hashes
// all values later need not read this one.
func (v *version) note(value []byte) {
	if v.sum.Load() == 0 {
		v.sum.Store(sumOf(value))
	}
}

// summed returns the sum and the length of a value, and whether they are known without reading it.
func (v *version) summed() (sum uint32, size int64, known bool) {
	sum = v.sum.Load()
	return sum, v.size, sum != 0 && v.size >= 0
}

// sum is summed for a value that may have to be read.
func (c *values) sum(v *version) (sum uint32, size int64, err error) {
	if sum, size, known := v.summed(); known {
		return sum, size, nil
	}
	value, err := c.peek(v)
	if err != nil {
		return 0, 0, err
	}
	v.note(value)
	return sumOf(value), int64(len(value)), nil
}
