// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/pjbgf/sha1cd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// source reads a pack's stream, byte by byte where the inflater wants it so,
// and hashes what was consumed.
type source struct {
	r   io.Reader
	sum hash.Hash
	buf []byte
	// pos is what is consumed of buf, hashed of that is in sum, end is what was read.
	pos, hashed, end int
	// before is the number of bytes that were in buf earlier.
	before, limit int64
}

// A source reads in pieces of sourcePiece, or all at once what is in memory and less than that.
const (
	sourcePiece = 64 << 10
	leastPiece  = 512
)

func newSource(r io.Reader, limit int64) *source {
	size := sourcePiece
	if whole, ok := r.(interface{ Len() int }); ok {
		size = min(size, max(whole.Len(), leastPiece))
	}
	return &source{r: r, sum: sha1cd.New(), buf: make([]byte, size), limit: limit}
}

// offset returns the number of bytes consumed.
func (s *source) offset() int64 { return s.before + int64(s.pos) }

// fill reads more, behind what is not yet consumed.
func (s *source) fill() error {
	s.sum.Write(s.buf[s.hashed:s.pos])
	s.before += int64(s.pos)
	s.end = copy(s.buf, s.buf[s.pos:s.end])
	s.pos, s.hashed = 0, 0
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if s.before+int64(s.end) > s.limit {
			return fmt.Errorf("more than %d bytes: %w", s.limit, ErrLimit)
		}
		if n > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// ReadByte returns the next byte.
func (s *source) ReadByte() (byte, error) {
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	s.pos++
	return s.buf[s.pos-1], nil
}

// Read reads what is at hand.
func (s *source) Read(p []byte) (int, error) {
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.buf[s.pos:s.end])
	s.pos += n
	return n, nil
}

// peek returns the next n bytes without consuming them.
func (s *source) peek(n int) ([]byte, error) {
	for s.end-s.pos < n {
		if err := s.fill(); err != nil {
			return nil, corrupt("pack", err)
		}
	}
	return s.buf[s.pos : s.pos+n], nil
}

// entry reads an entry's header.
func (s *source) entry() (Entry, error) {
	for {
		e, n, err := ParseEntry(s.buf[s.pos:s.end])
		if err == nil {
			s.pos += n
			return e, nil
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return e, err
		}
		if err := s.fill(); err != nil {
			return e, corrupt("pack", err)
		}
	}
}

// trailer returns the SHA-1 of what was consumed.
func (s *source) trailer() gitobj.ID {
	s.sum.Write(s.buf[s.hashed:s.pos])
	s.hashed = s.pos
	var id gitobj.ID
	s.sum.Sum(id[:0])
	return id
}
