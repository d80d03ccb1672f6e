// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"hash/crc32"
	"math/bits"
)

// Sums of CRC-32C are remainders of polynomials over GF(2), modulo that of
// Castagnoli. The highest bit of a word is the coefficient of x^0.
const (
	one   = uint32(1) << 31
	eight = one >> 8 // x^8: a byte
)

// joinSums returns the sum of a text whose first part has the sum a, and whose
// other part, of so many bytes, has the sum b: a moved up by these bytes, and b.
func joinSums(a, b uint32, bytes int64) uint32 { return times(a, bytesUp(bytes)) ^ b }

// times multiplies two polynomials.
func times(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ crc32.Castagnoli&-(b&1) // b times x
	}
	return product
}

// lowBytes is how many of the bits of a length are looked up at once.
const lowBytes = 12

// powers[i] is x^(8*2^i), and low[n] is x^(8n).
var powers, low = func() (powers [63]uint32, low [1 << lowBytes]uint32) {
	powers[0] = eight
	for i := range powers[1:] {
		powers[i+1] = times(powers[i], powers[i])
	}
	low[0] = one
	for n := range low[1:] {
		low[n+1] = times(eight, low[n])
	}
	return powers, low
}()

// bytesUp returns x^(8n).
func bytesUp(n int64) uint32 {
	out := low[n&(1<<lowBytes-1)]
	for high := uint64(n) >> lowBytes; high != 0; high &= high - 1 { //nolint:gosec // lengths are positive
		out = times(out, powers[lowBytes+bits.TrailingZeros64(high)])
	}
	return out
}
