// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxPayload is the longest payload of a packet line that Git writes.
const maxPayload = 65516

// packet says what a packet line is: data, or one of the marks between data.
type packet int

const (
	packetData  packet = iota
	packetFlush        // 0000: the end of a message
	packetDelim        // 0001: the end of a section, protocol 2
	packetEnd          // 0002: the end of a response, protocol 2
)

// errPacket is wrapped by every error about a malformed packet line.
var errPacket = errors.New("malformed packet line")

// lineReader reads packet lines. What follows them stays readable in r.
type lineReader struct {
	r   *bufio.Reader
	buf []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// next returns the next packet. The payload is valid until the next call; an
// end of input between packets is io.EOF.
func (l *lineReader) next() (packet, []byte, error) {
	var head [4]byte
	if n, err := io.ReadFull(l.r, head[:]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return 0, nil, io.EOF
		}
		return 0, nil, fmt.Errorf("read packet length: %w", err)
	}
	size, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil {
		return 0, nil, fmt.Errorf("read packet length %q: %w", head[:], errPacket)
	}
	switch size {
	case 0:
		return packetFlush, nil, nil
	case 1:
		return packetDelim, nil, nil
	case 2:
		return packetEnd, nil, nil
	case 3:
		return 0, nil, fmt.Errorf("read packet length %q: %w", head[:], errPacket)
	}
	n := int(size) - len(head)
	if cap(l.buf) < n {
		l.buf = make([]byte, max(n, 1024))
	}
	l.buf = l.buf[:n]
	if _, err := io.ReadFull(l.r, l.buf); err != nil {
		return 0, nil, fmt.Errorf("read packet of %d bytes: %w", n, err)
	}
	return packetData, l.buf, nil
}

// text returns the next packet as a line of text without its newline.
func (l *lineReader) text() (packet, string, error) {
	kind, line, err := l.next()
	if err != nil {
		return kind, "", err
	}
	return kind, string(bytes.TrimSuffix(line, []byte("\n"))), nil
}

// lineWriter writes packet lines. The first error sticks; err returns it.
type lineWriter struct {
	w   io.Writer
	err error
}

func (l *lineWriter) linef(format string, args ...any) {
	l.data(fmt.Appendf(nil, format+"\n", args...))
}

func (l *lineWriter) data(payload []byte) {
	if len(payload) > maxPayload {
		l.fail(fmt.Errorf("write packet of %d bytes: %w", len(payload), errPacket))
		return
	}
	l.raw(fmt.Appendf(nil, "%04x", len(payload)+4))
	l.raw(payload)
}

func (l *lineWriter) flush() { l.raw([]byte("0000")) }
func (l *lineWriter) delim() { l.raw([]byte("0001")) }

func (l *lineWriter) raw(b []byte) {
	if l.err != nil {
		return
	}
	_, err := l.w.Write(b)
	l.fail(err)
}

func (l *lineWriter) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}
