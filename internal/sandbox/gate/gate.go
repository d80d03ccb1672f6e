// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gate lets sandbox machines reach a hub that is beyond this machine,
// when the host of the control plane is a cluster somewhere else.
//
//	machine ─► its veth ─► filter: may it? ─► DNAT ─► Gate ═ dials from the machine's own namespace ═► hub
//
// # Laws
//
//  1. The machine's own network is not changed: no forwarding is switched on
//     and no address is translated in it. What leaves it is this process's.
//  2. The gate opens no way: what a machine may reach is decided before, by the
//     filter of its fleet.
//  3. A connection that ends on one side ends on the other.
package gate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
)

const (
	// port is where the gate listens, inside the namespace of the machines.
	port = 15001
	// dialTimeout is how long the other side may take to answer.
	dialTimeout = 5 * time.Second
	// originalDestination is the socket option by which the kernel tells what address was asked for.
	originalDestination = 80
)

// table is the nftables table that leads to the gate.
const table = "headless-gate"

// Prepare leads what machines open to the outside to the gate. It can be repeated.
func Prepare(ctx context.Context, c sandbox.Config) error {
	nets, err := c.Networks()
	if err != nil {
		return err
	}
	script := fmt.Sprintf(`table ip %[1]s
delete table ip %[1]s
table ip %[1]s {
	chain prerouting {
		type nat hook prerouting priority dstnat;
		iifname "hm-*" ip protocol tcp ip daddr != %[2]s dnat to %[3]s:%[4]d
	}
}
`, table, nets.Nodes, nets.Node, port)
	o := command.Options{Stdin: strings.NewReader(script)}
	if _, err := command.RunWith(ctx, o, command.InNetNS(c.NetNS(), "nft", "-f", "-")...); err != nil {
		return fmt.Errorf("lead machines to the gate: %w", err)
	}
	return nil
}

// Run serves until ctx ends.
func Run(ctx context.Context, c sandbox.Config, log *slog.Logger) error {
	nets, err := c.Networks()
	if err != nil {
		return err
	}
	l, err := listenIn(ctx, c.NetNS(), netip.AddrPortFrom(nets.Node, port))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := l.AcceptTCP()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept at the gate: %w", err)
		}
		open.Go(func() {
			if err := pass(ctx, conn); err != nil {
				log.Warn("a connection did not pass", "from", conn.RemoteAddr(), "error", err)
			}
		})
	}
}

// listenIn opens a listener inside a network namespace. A socket stays in the
// namespace it was made in, so the thread that makes it can go home.
func listenIn(ctx context.Context, netns string, addr netip.AddrPort) (*net.TCPListener, error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("open own network namespace: %w", err)
	}
	defer func() { _ = home.Close() }()
	there, err := os.Open(netns)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	defer func() { _ = there.Close() }()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter network namespace: %w", err)
	}
	var lc net.ListenConfig
	l, listenErr := lc.Listen(ctx, "tcp4", addr.String())
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		// The thread stays locked, so that it ends with its goroutine instead of serving others from there.
		return nil, errors.Join(fmt.Errorf("leave network namespace: %w", err), listenErr)
	}
	runtime.UnlockOSThread()
	if listenErr != nil {
		return nil, fmt.Errorf("listen at the gate: %w", listenErr)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen at the gate: %T is no TCP listener", l), l.Close())
	}
	return tcp, nil
}

// pass carries one connection.
func pass(ctx context.Context, from *net.TCPConn) error {
	defer func() { _ = from.Close() }()
	want, err := wanted(from)
	if err != nil {
		return err
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp4", want.String())
	if err != nil {
		return fmt.Errorf("dial %s: %w", want, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), conn.Close() })
	defer stop()
	return carry(from, conn)
}

// carry copies both ways until both sides have ended.
func carry(a, b net.Conn) error {
	done := make(chan error, 1)
	go func() { done <- oneWay(a, b) }()
	err := oneWay(b, a)
	return errors.Join(err, <-done)
}

// oneWay copies until the source ends, and tells the destination.
func oneWay(to, from net.Conn) error {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may have ended as a whole
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// wanted is the address that a machine asked for, before it was led here.
func wanted(conn *net.TCPConn) (netip.AddrPort, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("open socket: %w", err)
	}
	var option *unix.IPv6Mreq // as long as what the kernel writes, a sockaddr_in
	var optionErr error
	err = raw.Control(func(fd uintptr) {
		option, optionErr = unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, originalDestination)
	})
	if err := errors.Join(err, optionErr); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read original destination: %w", err)
	}
	return parseSockaddr(option.Multiaddr), nil
}

// parseSockaddr reads port and address of a sockaddr_in.
func parseSockaddr(b [16]byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4]))
}
