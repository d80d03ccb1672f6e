// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// condition is how a link is.
type condition struct {
	cut        bool          // connections break, new ones are refused
	deafUp     bool          // what the heaven sends does not arrive, and nobody is told
	deafDown   bool          // what the hub sends does not arrive, and nobody is told
	delay      time.Duration // each packet takes longer, by half of it to all of it
	bytesASecs int           // at most; 0 is no bound
}

func (c condition) String() string {
	switch {
	case c.cut:
		return "cut"
	case c.deafUp && c.deafDown:
		return "silent both ways"
	case c.deafUp:
		return "silent towards the hub"
	case c.deafDown:
		return "silent from the hub"
	case c.delay > 0 || c.bytesASecs > 0:
		return fmt.Sprintf("slow: %s later, %d bytes a second", c.delay, c.bytesASecs)
	default:
		return "whole"
	}
}

// link is the network between a heaven and the hub: a proxy that can be told
// to be a bad one.
type link struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	now     condition
	changed chan struct{}
	open    map[net.Conn]struct{}
	waits   []wait
}

// wait is for the next thing that passes a link one way.
type wait struct {
	up     bool
	passed chan<- struct{} // with room
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to, changed: make(chan struct{}), open: map[net.Conn]struct{}{}}
	go l.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		l.set(condition{cut: true})
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

// set changes how the link is, from now on.
func (l *link) set(c condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = c
	close(l.changed)
	l.changed = make(chan struct{})
	if c.cut {
		for conn := range l.open {
			_ = conn.Close()
		}
	}
}

func (l *link) read() (condition, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.changed
}

// keep holds a connection so that a cut closes it. It refuses one if the link is cut.
func (l *link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.cut {
		_ = conn.Close()
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

// next has the channel told when next something passes, up to the hub or down from it.
func (l *link) next(up bool, passed chan<- struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits = append(l.waits, wait{up: up, passed: passed})
}

func (l *link) pass(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits = slices.DeleteFunc(l.waits, func(w wait) bool {
		if w.up == up {
			select {
			case w.passed <- struct{}{}:
			default: // another link was first
			}
		}
		return w.up == up
	})
}

func (l *link) drop(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
}

func (l *link) accept() {
	for {
		here, err := l.listener.Accept()
		if err != nil {
			return
		}
		if l.keep(here) {
			go l.join(here)
		}
	}
}

func (l *link) join(here net.Conn) {
	defer l.drop(here)
	there, err := net.DialTimeout("tcp", l.to, 10*time.Second)
	if err != nil || !l.keep(there) {
		return
	}
	defer l.drop(there)
	done := make(chan struct{}, 2)
	go func() {
		l.carry(there, here, true)
		done <- struct{}{}
	}()
	go func() {
		l.carry(here, there, false)
		done <- struct{}{}
	}()
	<-done
}

// carry copies one way, up to the hub or down from it. What meets a silent link is held and arrives when it
// is whole again, as TCP would have it.
func (l *link) carry(to, from net.Conn, up bool) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			now, changed := l.read()
			for up && now.deafUp || !up && now.deafDown {
				<-changed
				now, changed = l.read()
			}
			if now.delay > 0 {
				time.Sleep(now.delay/2 + rand.N(now.delay/2+1))
			}
			if now.bytesASecs > 0 {
				time.Sleep(time.Duration(n) * time.Second / time.Duration(now.bytesASecs))
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
			l.pass(up)
		}
		if err != nil {
			return
		}
	}
}
