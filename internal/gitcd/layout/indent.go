// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"strings"
)

// indenter spreads compact JSON over lines, two spaces a level. It only ever
// adds white space outside strings, and refuses input that has some, so that
// taking white space away gives the input back.
type indenter struct {
	out   []byte
	limit int
	// open holds the closing bracket of each level.
	open []byte
}

// indent returns value spread over lines; false if it is not compact JSON, or
// would grow beyond reason.
func indent(value []byte) ([]byte, bool) {
	body, newline := bytes.CutSuffix(value, []byte("\n"))
	if len(body) < 2 || (body[0] != '{' && body[0] != '[') {
		return nil, false
	}
	in := indenter{out: make([]byte, 0, 2*len(value)), limit: maxGrowth*len(value) + slack}
	for i := 0; i < len(body); {
		n := in.token(body[i:])
		if n == 0 || len(in.out) > in.limit {
			return nil, false
		}
		i += n
		if len(in.open) == 0 && i < len(body) { // something behind the last bracket
			return nil, false
		}
	}
	if len(in.open) > 0 {
		return nil, false
	}
	if newline {
		in.out = append(in.out, '\n')
	}
	return in.out, true
}

// token writes the first token of rest and returns its length, 0 if there is none.
func (in *indenter) token(rest []byte) int {
	switch c := rest[0]; c {
	case '{', '[':
		return in.begin(rest)
	case '}', ']':
		if len(in.open) == 0 || in.open[len(in.open)-1] != c {
			return 0
		}
		in.open = in.open[:len(in.open)-1]
		in.line()
		in.out = append(in.out, c)
		return 1
	case ',':
		in.out = append(in.out, c)
		in.line()
		return 1
	case ':':
		in.out = append(in.out, c, ' ')
		return 1
	case '"':
		n := stringLen(rest)
		in.out = append(in.out, rest[:n]...)
		return n
	default:
		n := literalLen(rest)
		in.out = append(in.out, rest[:n]...)
		return n
	}
}

func (in *indenter) begin(rest []byte) int {
	end := rest[0] + 2 // in ASCII, '}' is '{'+2 and ']' is '['+2
	in.out = append(in.out, rest[0])
	if len(rest) > 1 && rest[1] == end {
		in.out = append(in.out, end)
		return 2
	}
	if len(in.open) == maxDepth {
		return 0
	}
	in.open = append(in.open, end)
	in.line()
	return 1
}

// margin is a line's end and the deepest margin behind it.
var margin = "\n" + strings.Repeat("  ", maxDepth)

func (in *indenter) line() {
	in.out = append(in.out, margin[:1+2*len(in.open)]...)
}

// What a byte is, as far as indenting cares: most bytes are several of these.
const (
	inString  = 1 << iota // stands for itself between quotes
	inLiteral             // is a part of a number or a word
	plainByte             // taking white space away leaves it, and it begins no string
)

var class = func() (table [256]uint8) {
	for c := range table {
		if c >= ' ' && c != '"' && c != '\\' {
			table[c] |= inString
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E' {
			table[c] |= inLiteral
		}
		if c != ' ' && c != '\n' && c != '"' {
			table[c] |= plainByte
		}
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
		i += span(b[i:], inString)
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

// literalLen returns the length of the number or word at the start of b.
func literalLen(b []byte) int { return span(b, inLiteral) }
