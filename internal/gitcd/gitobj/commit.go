// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitobj

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Signature says who did something, and when. Git keeps whole seconds and the
// offset of the time zone.
type Signature struct {
	Name, Email string
	When        time.Time
}

// Commit is one step of a history.
type Commit struct {
	Tree              ID
	Parents           []ID
	Author, Committer Signature
	Message           string
}

// Encode returns the commit's content.
func (c Commit) Encode() []byte {
	out := make([]byte, 0, 256+len(c.Message)+48*len(c.Parents))
	out = appendID(out, "tree ", c.Tree)
	for _, p := range c.Parents {
		out = appendID(out, "parent ", p)
	}
	out = appendSignature(out, "author ", c.Author)
	out = appendSignature(out, "committer ", c.Committer)
	out = append(out, '\n')
	return append(out, strings.ReplaceAll(c.Message, "\x00", "")...)
}

func appendID(out []byte, field string, id ID) []byte {
	out = append(out, field...)
	out = append(out, id.String()...)
	return append(out, '\n')
}

func appendSignature(out []byte, field string, s Signature) []byte {
	name := clean(s.Name)
	if name == "" {
		name = "-" // git fsck wants a name before the address
	}
	_, offset := s.When.Zone()
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	out = append(out, field...)
	out = append(out, name...)
	out = append(out, " <"...)
	out = append(out, clean(s.Email)...)
	out = append(out, "> "...)
	out = strconv.AppendInt(out, max(s.When.Unix(), 0), 10)
	out = append(out, ' ', sign)
	return fmt.Appendf(out, "%02d%02d\n", offset/3600%100, offset/60%60)
}

// clean drops the bytes that end a name or an address in a signature.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '<' || r == '>' || r == '\n' || r == 0 {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// DecodeCommit reads a commit's content. Headers that Commit has no field for
// (signatures, encodings) are passed over: keep the content, not the Commit,
// of what others wrote.
func DecodeCommit(content []byte) (Commit, error) {
	var c Commit
	head, message, found := bytes.Cut(content, []byte("\n\n"))
	if !found {
		head = bytes.TrimSuffix(content, []byte("\n")) // a commit may lack a message
	}
	c.Message = string(message)
	for i, line := range strings.Split(string(head), "\n") {
		if err := c.header(line); err != nil {
			return Commit{}, fmt.Errorf("decode commit, line %d: %w", i+1, err)
		}
	}
	if c.Tree.IsZero() {
		return Commit{}, fmt.Errorf("decode commit: no tree: %w", ErrMalformed)
	}
	return c, nil
}

func (c *Commit) header(line string) (err error) {
	field, value, _ := strings.Cut(line, " ")
	switch field {
	case "tree":
		c.Tree, err = ParseID(value)
	case "parent":
		var p ID
		p, err = ParseID(value)
		c.Parents = append(c.Parents, p)
	case "author":
		c.Author, err = parseSignature(value)
	case "committer":
		c.Committer, err = parseSignature(value)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", field, err, ErrMalformed)
	}
	return nil
}

func parseSignature(s string) (Signature, error) {
	open, end := strings.IndexByte(s, '<'), strings.LastIndexByte(s, '>')
	if open < 0 || end < open {
		return Signature{}, fmt.Errorf("parse signature %q: no <address>", s)
	}
	sig := Signature{Name: strings.TrimSpace(s[:open]), Email: s[open+1 : end]}
	seconds, zone, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Signature{}, fmt.Errorf("parse signature %q: %w", s, err)
	}
	hhmm, err := strconv.Atoi(zone)
	if err != nil {
		return Signature{}, fmt.Errorf("parse signature %q: %w", s, err)
	}
	sig.When = time.Unix(unix, 0).In(zoneOf(hhmm/100*3600 + hhmm%100*60))
	return sig, nil
}

// zoneOf keeps UTC itself for offset nought, so that equal commits compare equal.
func zoneOf(offset int) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	return time.FixedZone("", offset)
}

// Trailer is one "Key: value" line at the end of a commit message.
type Trailer struct{ Key, Value string }

// Trailers returns the trailers: the lines of the last paragraph, if it is not
// the subject and each line is one.
func (c Commit) Trailers() []Trailer {
	message := strings.TrimRight(c.Message, "\n")
	at := strings.LastIndex(message, "\n\n")
	if at < 0 {
		return nil
	}
	var out []Trailer
	for line := range strings.SplitSeq(message[at+2:], "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || strings.ContainsAny(key, " \t") {
			return nil
		}
		out = append(out, Trailer{Key: key, Value: strings.TrimSpace(value)})
	}
	return out
}

// Trailer returns the last value given for a trailer's key, in any case of letters.
func (c Commit) Trailer(key string) (value string, found bool) {
	for _, t := range c.Trailers() {
		if strings.EqualFold(t.Key, key) {
			value, found = t.Value, true
		}
	}
	return value, found
}
