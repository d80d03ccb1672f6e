// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// The bands of a multiplexed stream.
const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

// bandWriter writes to one band of a multiplexed stream.
type bandWriter struct {
	out  *lineWriter
	band byte
}

// Write cuts p into packets of its band.
func (b bandWriter) Write(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		n := min(len(p), maxPayload-1)
		b.out.data(append([]byte{b.band}, p[:n]...))
		if b.out.err != nil {
			return done, b.out.err
		}
		done, p = done+n, p[n:]
	}
	return done, nil
}

// bandReader reads band 1 of a multiplexed stream. Progress is dropped; what
// the other side says in band 3 is the error.
type bandReader struct {
	in   *lineReader
	rest []byte
	err  error
}

// errRemote is wrapped by errors that the other side spelled out.
var errRemote = errors.New("the other side reports")

// Read returns what arrived in band 1.
func (b *bandReader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 && b.err == nil {
		b.fill()
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *bandReader) fill() {
	kind, payload, err := b.in.next()
	switch {
	case errors.Is(err, io.EOF):
		b.err = io.ErrUnexpectedEOF
	case err != nil:
		b.err = err
	case kind != packetData:
		b.err = io.EOF
	case len(payload) == 0:
		b.err = fmt.Errorf("read band: empty packet: %w", errPacket)
	case payload[0] == bandData:
		b.rest = payload[1:]
	case payload[0] == bandProgress:
	case payload[0] == bandError:
		b.err = fmt.Errorf("%w: %s", errRemote, strings.TrimSpace(string(payload[1:])))
	default:
		b.err = fmt.Errorf("read band %d: %w", payload[0], errPacket)
	}
}
