// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
)

// silent is an upstream that takes connections and says nothing.
type silent struct {
	http.RoundTripper
	listener net.Listener
	on       atomic.Bool
	nothing  *http.Transport

	mu    sync.Mutex
	conns []net.Conn
}

func newSilent(t *testing.T, well http.RoundTripper) *silent {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{RoundTripper: well, listener: l}
	s.nothing = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(s.close)
	return s
}

func (s *silent) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// RoundTrip implements http.RoundTripper.
func (s *silent) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.on.Load() {
		return s.nothing.RoundTrip(r)
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestUpstreamHangs has the upstream take requests and never answer: writes and
// reads go on as before, and arrive there once it answers again.
func TestUpstreamHangs(t *testing.T) {
	h := startHub(t)
	v := newHeaven(t, h, "heavens/apiserver", "0")
	quiet := newSilent(t, v.link.RoundTripper)
	v.link.RoundTripper = quiet
	v.tune = func(o *exchange.Options) { o.Timeout = 60 * time.Second }
	v.start(true)
	v.put("/registry/a", "1")
	settled(t, h, v)

	quiet.on.Store(true)
	v.link.sever() // what was under way ends; what comes next hangs
	v.link.mend()
	var slowest time.Duration
	hung := time.Now().Add(4 * time.Second)
	n := 0
	for ; time.Now().Before(hung); n++ {
		began := time.Now()
		v.put(fmt.Sprintf("/registry/b%d", n%50), fmt.Sprint(n))
		slowest = max(slowest, time.Since(began))
		time.Sleep(time.Millisecond)
	}
	quiet.mu.Lock()
	waiting := len(quiet.conns)
	quiet.mu.Unlock()
	t.Logf("%d writes, the slowest took %v, %d connections hang", n, slowest, waiting)
	if waiting == 0 {
		t.Error("nothing hangs")
	}
	if slowest > time.Second {
		t.Errorf("a write took %v beside an upstream that hangs", slowest)
	}
	quiet.on.Store(false)
	quiet.close()
	settled(t, h, v)
	if err := v.halt(); err != nil {
		t.Error(err)
	}
}
