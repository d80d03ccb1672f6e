// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// indent returns compact JSON spread over lines, a space a level; false if
// value is not that, or would grow beyond reason. It only ever adds white space
// outside strings, and refuses input that has some, so that taking white space
// away gives the input back. Every value that is written passes here: what lies
// between two insertions is copied in one piece.
func indent(value []byte) ([]byte, bool) {
	body, newline := bytes.CutSuffix(value, []byte("\n"))
	if !container(body) {
		return nil, false
	}
	out := make([]byte, 0, len(value)+len(value)/2+64)
	limit := maxGrowth*len(value) + slack
	var open brackets
	copied := 0 // of body
	for i, ok := text(body, 0); i < len(body) || !ok; i, ok = text(body, i) {
		if !ok || len(out) > limit {
			return nil, false
		}
		before, after, fits := open.step(body[i])
		if !fits || open.n == 0 && i+1 < len(body) {
			return nil, false
		}
		out = append(append(out, body[copied:i]...), before...)
		out = append(append(out, body[i]), after...)
		i++
		copied = i
	}
	out = append(out, body[copied:]...)
	if open.n > 0 || len(out) > limit {
		return nil, false
	}
	if newline {
		out = append(out, '\n')
	}
	return out, true
}

// unindent returns the value whose indented form is blob, if there is one: it
// expects all white space exactly where indent puts it.
func unindent(blob []byte) ([]byte, bool) {
	body, newline := bytes.CutSuffix(blob, []byte("\n"))
	if !container(body) {
		return nil, false
	}
	value := make([]byte, 0, len(blob))
	var open brackets
	copied := 0 // of body
	for i, ok := text(body, 0); i < len(body) || !ok; i, ok = text(body, i) {
		if !ok {
			return nil, false
		}
		from := i
		i = open.behindLine(body, i)
		before, after, fits := open.step(body[i])
		if !fits || before != string(body[from:i]) || open.n == 0 && i+1 < len(body) {
			return nil, false
		}
		value = append(append(value, body[copied:from]...), body[i])
		i++
		if copied = i + len(after); copied > len(body) || string(body[i:copied]) != after {
			return nil, false
		}
		if class[body[i-1]]&token == tokenOpen && copied < len(body) && body[copied] == '\n' {
			return nil, false // an empty pair has no line between
		}
		i = copied
	}
	value = append(value, body[copied:]...)
	if newline {
		value = append(value, '\n')
	}
	return value, open.n == 0 && len(body) <= maxGrowth*len(value)+slack
}

// behindLine returns where the closing bracket is if a line's end is at i: there
// is none elsewhere. With less than its margin before it, it is none either.
func (b *brackets) behindLine(body []byte, i int) int {
	if body[i] != '\n' {
		return i
	}
	return min(i+b.n, len(body)-1)
}

// container says whether body can be a JSON object or array: all that indent deals with.
func container(body []byte) bool {
	if len(body) < 2 || class[body[0]]&token != tokenOpen {
		return false
	}
	return !emptyPair(body, 0) || len(body) == 2
}

// emptyPair says whether a pair of brackets with nothing between is at i.
func emptyPair(body []byte, i int) bool { return i+1 < len(body) && body[i+1] == closing(body[i]) }

// text returns where the strings, numbers, words and empty pairs at i end:
// nothing is inserted between them. It is false if a string does not end.
func text(body []byte, i int) (int, bool) {
	for i < len(body) {
		switch class[body[i]] & token {
		case tokenString:
			n := stringLen(body[i:])
			if n == 0 {
				return i, false
			}
			i += n
		case tokenLiteral:
			i += span(body[i:], inLiteral)
		case tokenOpen:
			if !emptyPair(body, i) {
				return i, true
			}
			i += 2
		default:
			return i, true
		}
	}
	return i, true
}

// brackets holds the closing bracket of each level.
type brackets struct {
	close [maxDepth]byte
	n     int
}

// closing returns the bracket that closes what c opens: in ASCII, '}' is '{'+2 and ']' is '['+2.
func closing(c byte) byte { return c + 2 }

func (b *brackets) push(c byte) bool {
	if b.n == maxDepth {
		return false
	}
	b.close[b.n] = closing(c)
	b.n++
	return true
}

func (b *brackets) pop(c byte) bool {
	if b.n == 0 || b.close[b.n-1] != c {
		return false
	}
	b.n--
	return true
}

// step takes a byte between texts, and says what indent inserts on both sides of it.
func (b *brackets) step(c byte) (before, after string, ok bool) {
	switch class[c] & token {
	case tokenColon:
		return "", " ", true
	case tokenComma:
		return "", b.margin(), true
	case tokenOpen:
		ok = b.push(c)
		return "", b.margin(), ok
	case tokenClose:
		ok = b.pop(c)
		return b.margin(), "", ok
	default:
		return "", "", false
	}
}

// margins is a line's end and the deepest margin behind it.
var margins = "\n" + strings.Repeat(" ", maxDepth)

func (b *brackets) margin() string { return margins[:1+b.n] }

// What a byte is, as far as indenting cares: which token it begins, and what it can be inside of one.
const (
	tokenString = iota + 1
	tokenLiteral
	tokenColon
	tokenComma
	tokenOpen
	tokenClose

	token     = 7      // masks the token
	inString  = 1 << 3 // stands for itself between quotes
	inLiteral = 1 << 4 // is a part of a number or a word
)

var class = func() (table [256]uint8) {
	for c := range table {
		if c >= ' ' && c != '"' && c != '\\' {
			table[c] |= inString
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E' {
			table[c] |= inLiteral | tokenLiteral
		}
	}
	for c, t := range map[byte]uint8{
		'"': tokenString, ':': tokenColon, ',': tokenComma, '{': tokenOpen, '[': tokenOpen, '}': tokenClose, ']': tokenClose,
	} {
		table[c] |= t
	}
	return table
}()

// span returns how many bytes at the start of b are of a class.
func span(b []byte, of uint8) int {
	for i, c := range b {
		if class[c]&of == 0 {
			return i
		}
	}
	return len(b)
}

// stringLen returns the length of the JSON string at the start of b, 0 if it is not one.
func stringLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		i += plainLen(b[i:])
		switch {
		case i >= len(b) || b[i] < ' ':
			return 0
		case b[i] == '"':
			return i + 1
		default: // a backslash, and the byte it is for
			i++
		}
	}
	return 0
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// plainLen returns how many bytes at the start of b stand for themselves in a
// string. It looks at eight at once: the lowest top bit that is left in found
// is that of the first byte which is a quote, a backslash, or below a space.
func plainLen(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := x^(ones*'"'), x^(ones*'\\')
		found := ((quote-ones)&^quote | (backslash-ones)&^backslash | (x-ones*' ')&^x) & tops
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	return i + span(b[i:], inString)
}
