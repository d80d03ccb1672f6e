// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// helloTimeout is how long a new connection may take to say what it is.
	helloTimeout = 10 * time.Second
	// helloFrames is how many frames may come before the one that says what an HTTP/2 connection is for.
	helloFrames = 16
	// helloHeaders bounds the headers of that frame.
	helloHeaders = 64 << 10
	// tlsHandshake is the first byte of a TLS connection.
	tlsHandshake = 0x16
	// retryAccept is how long to wait when the process has too many files open.
	retryAccept = 50 * time.Millisecond
)

// traffic counts the bytes of gRPC connections.
type traffic struct{ received, sent atomic.Int64 }

// conn is a connection whose first bytes were read already, and are read again.
type conn struct {
	net.Conn
	again []byte
	count *traffic // nil: not counted
	safe  bool     // secured, or from this machine's files: no web page sent it
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (n int, err error) {
	if len(c.again) > 0 {
		n = copy(p, c.again)
		if c.again = c.again[n:]; len(c.again) == 0 {
			c.again = nil
		}
	} else {
		n, err = c.Conn.Read(p)
	}
	if c.count != nil {
		c.count.received.Add(int64(n))
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.count != nil {
		c.count.sent.Add(int64(n))
	}
	return n, err
}

// accept takes an endpoint's connections until it is closed.
func (f *Front) accept(e Endpoint) error {
	for {
		c, err := e.Listener.Accept()
		switch {
		case err == nil:
			go f.welcome(c, &e)
		case f.stopped.Load() || errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED):
			f.o.Log.Warn("cannot take a connection for now", "listener", e.Listener.Addr().String(), "error", err)
			timer := f.Server.o.Clock.NewTimer(retryAccept)
			<-timer.C()
		default:
			return err
		}
	}
}

// welcome finds out what a new connection is, and hands it to who serves that.
func (f *Front) welcome(c net.Conn, e *Endpoint) {
	fail := func(err error) {
		if !left(err) {
			f.o.Log.Warn("rejected connection on client endpoint", "remote-addr", addr(c), "error", err)
		}
		_ = c.Close() // it is given up
	}
	if err := c.SetDeadline(f.Server.o.Clock.Now().Add(helloTimeout)); err != nil {
		fail(err)
		return
	}
	secure, err := f.secure(c, e)
	if err != nil {
		fail(err)
		return
	}
	out, side := secure, e.Traffic
	if side == AllTraffic {
		if out, side, err = f.sort(secure); err != nil {
			fail(err)
			return
		}
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		fail(err)
		return
	}
	known, ok := out.(*conn)
	if !ok {
		known = &conn{Conn: out}
	}
	known.safe = safe(secure)
	if side == OnlyGRPC {
		known.count = &f.bytes
	}
	f.sides[side].give(known)
}

// left says that the other side has closed the connection before it asked for
// anything: a port that was only knocked at, a client that changed its mind.
func left(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// safe says that a connection cannot be a browser's on behalf of a web page: that has no client certificate, and no sockets in files.
func safe(c net.Conn) bool {
	_, secured := c.(*tls.Conn)
	return secured || c.LocalAddr() != nil && c.LocalAddr().Network() == "unix"
}

func addr(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// secure does the TLS handshake, if the endpoint wants one.
func (f *Front) secure(c net.Conn, e *Endpoint) (net.Conn, error) {
	if e.TLS == nil {
		if t, ok := c.(*tls.Conn); ok {
			return t, t.HandshakeContext(context.Background()) // it has the connection's deadline
		}
		return c, nil
	}
	if e.Plain {
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil {
			return nil, err
		}
		c = &conn{Conn: c, again: first}
		if first[0] != tlsHandshake {
			return c, nil
		}
	}
	t := tls.Server(c, e.TLS)
	return t, t.HandshakeContext(context.Background()) // the same
}

// sort tells gRPC from HTTP. An HTTP/2 connection says what it is for in its
// first headers, for which a gRPC client waits until it has the server's
// settings: so they are sent here, and again by the server that gets the connection.
func (f *Front) sort(c net.Conn) (net.Conn, Traffic, error) {
	var seen bytes.Buffer
	in := io.TeeReader(c, &seen)
	replay := func() *conn { return &conn{Conn: c, again: seen.Bytes()} }

	hello := make([]byte, len(http2.ClientPreface))
	for have := 0; have < len(hello); { // what speaks HTTP/1 may have less to say
		n, err := in.Read(hello[have:])
		if err != nil {
			return nil, AllTraffic, err
		}
		have += n
		if string(hello[:have]) != http2.ClientPreface[:have] {
			return replay(), OnlyHTTP, nil
		}
	}
	side, err := f.purpose(http2.NewFramer(c, in))
	if err != nil {
		return nil, AllTraffic, err
	}
	if side == OnlyHTTP {
		return &conn{Conn: &settled{Conn: replay()}}, OnlyHTTP, nil
	}
	return replay(), OnlyGRPC, nil
}

// purpose says what an HTTP/2 connection is for. What says nothing for long, or
// something else, is a gRPC client: a browser would have asked for something.
func (f *Front) purpose(framer *http2.Framer) (Traffic, error) {
	framer.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	framer.MaxHeaderListSize = helloHeaders
	if err := framer.WriteSettings(f.settings()...); err != nil {
		return AllTraffic, err
	}
	for range helloFrames {
		frame, err := framer.ReadFrame()
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return OnlyGRPC, nil
		}
		if err != nil {
			return AllTraffic, err
		}
		switch h := frame.(type) {
		case *http2.SettingsFrame, *http2.WindowUpdateFrame, *http2.PriorityFrame:
		case *http2.MetaHeadersFrame:
			for _, field := range h.Fields {
				if field.Name == "content-type" && strings.HasPrefix(field.Value, "application/grpc") {
					return OnlyGRPC, nil
				}
			}
			return OnlyHTTP, nil
		default:
			return OnlyGRPC, nil // a ping: clients that keep a connection do that
		}
	}
	return OnlyGRPC, nil
}

// settings are those of the gRPC server.
func (f *Front) settings() []http2.Setting {
	out := []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: window}}
	if f.o.MaxStreams > 0 {
		out = append(out, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: f.o.MaxStreams})
	}
	return out
}

// settled hides from an HTTP/2 server that the client acknowledges settings
// which that server has not sent; it would take offence.
type settled struct {
	net.Conn
	in      *bufio.Reader
	left    int  // bytes of the current frame
	settled bool // the acknowledgement was left out
}

// Read implements net.Conn.
func (s *settled) Read(p []byte) (int, error) {
	const header = 9
	if s.in == nil {
		s.in, s.left = bufio.NewReader(s.Conn), len(http2.ClientPreface)
	}
	if s.left == 0 && !s.settled {
		h, err := s.in.Peek(header)
		if err != nil {
			return 0, err
		}
		if http2.FrameType(h[3]) == http2.FrameSettings && http2.Flags(h[4]).Has(http2.FlagSettingsAck) {
			s.settled = true
			if _, err := s.in.Discard(header); err != nil {
				return 0, err
			}
		} else {
			s.left = header + (int(h[0])<<16 | int(h[1])<<8 | int(h[2]))
		}
	}
	if s.left > 0 {
		p = p[:min(len(p), s.left)]
	}
	n, err := s.in.Read(p)
	s.left = max(s.left-n, 0)
	return n, err
}
