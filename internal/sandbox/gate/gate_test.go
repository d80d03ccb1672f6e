// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"io"
	"net"
	"testing"
)

func TestParseSockaddr(t *testing.T) {
	b := [16]byte{2, 0, 0x1f, 0x90, 192, 0, 2, 7}
	if got := parseSockaddr(b).String(); got != "192.0.2.7:8080" {
		t.Errorf("parseSockaddr = %s, want 192.0.2.7:8080", got)
	}
}

// pair is a TCP connection, both of its ends.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var d net.Dialer
	a, err = d.DialContext(t.Context(), "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func TestCarryTellsBothSidesOfAnEnd(t *testing.T) {
	machine, gateIn := pair(t)
	gateOut, hub := pair(t)
	done := make(chan error, 1)
	go func() { done <- carry(gateIn, gateOut) }()
	if _, err := machine.Write([]byte("push")); err != nil {
		t.Fatal(err)
	}
	if err := machine.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(hub); err != nil || string(got) != "push" {
		t.Fatalf("the hub read %q, %v", got, err)
	}
	if _, err := hub.Write([]byte("accepted")); err != nil {
		t.Fatal(err)
	}
	if err := hub.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(machine); err != nil || string(got) != "accepted" {
		t.Errorf("the machine read %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Errorf("carry = %v", err)
	}
}
