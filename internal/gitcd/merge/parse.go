// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep a value may nest to be understood; kube-apiserver takes no deeper one.
const maxDepth = 1000

var errNotExact = errors.New("not exact")

// parse reads a JSON value. What would not come back the same, as a name that
// comes twice in an object, is an error: such a value is merged as a whole. The
// tokens of encoding/json would do, but take most of the time of a merge.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("parse value: invalid UTF-8: %w", errNotExact)
	}
	p := parser{s: string(data)}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("parse value: %w", err)
	}
	if p.next() != 0 || p.at < len(p.s) {
		return nil, fmt.Errorf("parse value: %w", p.wrong("more behind its end"))
	}
	return v, nil
}

// parser is at a byte of a text. Strings without escapes share its memory.
type parser struct {
	s  string
	at int
}

func (p *parser) wrong(what string) error {
	return fmt.Errorf("%s at byte %d: %w", what, p.at, errNotExact)
}

// next returns the next byte that is not white space without taking it, zero at the end.
func (p *parser) next() byte {
	for ; p.at < len(p.s); p.at++ {
		switch c := p.s[p.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take takes the next byte that is not white space if it is this one.
func (p *parser) take(c byte) bool {
	if p.next() != c || p.at == len(p.s) {
		return false
	}
	p.at++
	return true
}

var literals = []struct {
	word  string
	value any
}{{"true", true}, {"false", false}, {"null", nil}}

func (p *parser) value(depth int) (any, error) {
	switch c := p.next(); {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return nil, p.wrong(fmt.Sprintf("nested deeper than %d", maxDepth))
		}
		p.at++
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.list(depth + 1)
	case c == '"':
		p.at++
		return p.text()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, l := range literals {
		if strings.HasPrefix(p.s[p.at:], l.word) {
			p.at += len(l.word)
			return l.value, nil
		}
	}
	return nil, p.wrong("no value")
}

func (p *parser) object(depth int) (any, error) {
	o := newObject()
	if p.take('}') {
		return o, nil
	}
	for {
		if !p.take('"') {
			return nil, p.wrong("no name of a field")
		}
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		if _, ok := o.fields[name]; ok {
			return nil, p.wrong(fmt.Sprintf("field %q comes twice", name))
		}
		if !p.take(':') {
			return nil, p.wrong("no colon")
		}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		o.set(name, v)
		if p.take(',') {
			continue
		}
		if p.take('}') {
			return o, nil
		}
		return nil, p.wrong("no end of an object")
	}
}

func (p *parser) list(depth int) (any, error) {
	list := []any{}
	if p.take(']') {
		return list, nil
	}
	for {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if p.take(',') {
			continue
		}
		if p.take(']') {
			return list, nil
		}
		return nil, p.wrong("no end of a list")
	}
}

// number takes a number, of which it keeps the text.
func (p *parser) number() (any, error) {
	start := p.at
	p.skip("-")
	if p.skip("0") == 0 && p.digits() == 0 {
		return nil, p.wrong("no number")
	}
	if p.skip(".") > 0 && p.digits() == 0 {
		return nil, p.wrong("no fraction")
	}
	if p.skip("eE") > 0 {
		p.skip("+-")
		if p.digits() == 0 {
			return nil, p.wrong("no exponent")
		}
	}
	return json.Number(p.s[start:p.at]), nil
}

// skip takes a byte if it is one of these.
func (p *parser) skip(bytes string) int {
	if p.at < len(p.s) && strings.IndexByte(bytes, p.s[p.at]) >= 0 {
		p.at++
		return 1
	}
	return 0
}

func (p *parser) digits() int {
	start := p.at
	for p.at < len(p.s) && p.s[p.at] >= '0' && p.s[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

// text takes a string behind its first quote.
func (p *parser) text() (string, error) {
	start := p.at
	for ; p.at < len(p.s); p.at++ {
		switch c := p.s[p.at]; {
		case c == '"':
			p.at++
			return p.s[start : p.at-1], nil
		case c == '\\':
			return p.escaped(p.s[start:p.at])
		case c < ' ':
			return "", p.wrong("control character in a string")
		}
	}
	return "", p.wrong("no end of a string")
}

// escaped takes the rest of a string that has escapes.
func (p *parser) escaped(before string) (string, error) {
	out := slices.Grow([]byte(before), 64)
	for p.at < len(p.s) {
		c := p.s[p.at]
		p.at++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", p.wrong("control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		r, err := p.escape()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", p.wrong("no end of a string")
}

// escape takes what follows a backslash. Half a surrogate pair is an error: no
// Go string can hold it.
func (p *parser) escape() (rune, error) {
	const names, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if p.at < len(p.s) {
		if i := strings.IndexByte(names, p.s[p.at]); i >= 0 {
			p.at++
			return rune(meant[i]), nil
		}
	}
	r, ok := p.unit()
	if ok && utf16.IsSurrogate(r) {
		low := rune(-1)
		if p.skip(`\`) > 0 {
			low, ok = p.unit()
		}
		r = utf16.DecodeRune(r, low)
		ok = ok && r != utf8.RuneError
	}
	if !ok {
		return 0, p.wrong("no such escape")
	}
	return r, nil
}

// unit takes the UTF-16 unit of an escape, uXXXX.
func (p *parser) unit() (rune, bool) {
	if len(p.s)-p.at < 5 || p.s[p.at] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(p.s[p.at+1:p.at+5], 16, 16)
	if err != nil {
		return 0, false
	}
	p.at += 5
	return rune(n), true
}
