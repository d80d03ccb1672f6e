// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// rumours is an upstream whose stream is the test's to fill.
type rumours struct {
	exchange.Upstream
	watch func(ctx context.Context, tell func(exchange.Notice)) error
	lists atomic.Int64
}

func (r *rumours) Watch(ctx context.Context, _ []string, tell func(exchange.Notice)) error {
	return r.watch(ctx, tell)
}

func (r *rumours) ListRefs(ctx context.Context, prefixes ...string) (map[string]gitobj.ID, error) {
	r.lists.Add(1)
	return r.Upstream.ListRefs(ctx, prefixes...)
}

// said is a log that can be read while it is written.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// TestOvertakenNews tells of a main that is older than the one that was joined, as news do that were overtaken on their
// way: the upstream is asked, and nothing is called lost.
func TestOvertakenNews(t *testing.T) {
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a")
	told := make(chan exchange.Notice)
	r := &rumours{Upstream: a.remote(), watch: func(ctx context.Context, tell func(exchange.Notice)) error {
		for {
			select {
			case n := <-told:
				tell(n)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
	log := &said{}
	a.wrap = func(exchange.Upstream) exchange.Upstream { return r }
	a.tune = func(o *exchange.Options) { o.Log, o.Await = slog.New(slog.NewTextHandler(log, nil)), time.Millisecond }
	a.start(true)
	tell := func(id gitobj.ID) { told <- exchange.Notice{Ref: exchange.Main, ID: id} }
	tell(gitobj.Zero) // the link is up
	a.put("/registry/a", "1")
	main := func() gitobj.ID {
		id, _ := h.journal.Ref(exchange.Main)
		return id
	}
	eventually(t, "there is a main", func() bool { return !main().IsZero() })
	first := main()
	tell(first)
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	b.put("/registry/b", "1")
	eventually(t, "main has it", func() bool { return main() != first && !b.exchange.Status().Unpushed })
	eventually(t, "it is joined", func() bool {
		now := main()
		tell(now)
		return a.get("/registry/b") == "1" && a.exchange.Status().Main == now.String()
	})

	asked := r.lists.Load()
	tell(first)
	eventually(t, "the upstream is asked", func() bool { return r.lists.Load() > asked })
	b.put("/registry/b", "2")
	eventually(t, "the exchange goes on", func() bool {
		tell(main())
		return a.get("/registry/b") == "2"
	})
	if log.has("lacks what it had") {
		t.Errorf("old news are called a loss:\n%s", &log.text)
	}
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

// TestHubPause has a hub away for minutes: its stream is asked for again every five seconds at most, however long the
// pauses of other upstreams may be, since what was written meanwhile waits for it.
func TestHubPause(t *testing.T) {
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/a", "1")
	eventually(t, "there is a main", func() bool { return h.status().Main != "" && !a.exchange.Status().Unpushed })
	if err := a.halt(); err != nil {
		t.Fatal(err)
	}
	clk := clocktesting.NewFakeClock(time.Now())
	var asked atomic.Int64
	r := &rumours{Upstream: a.remote(), watch: func(_ context.Context, tell func(exchange.Notice)) error {
		if asked.Add(1) == 1 { // it was a hub
			id, _ := h.journal.Ref(exchange.Main)
			tell(exchange.Notice{Ref: exchange.Main, ID: id})
		}
		return errors.New("the hub is away")
	}}
	a.wrap = func(exchange.Upstream) exchange.Upstream { return r }
	a.tune = func(o *exchange.Options) {
		o.Clock, o.MaxPause, o.Chance = clk, 30*time.Second, func() float64 { return 0.99 }
	}
	a.start(false)
	for range 20 { // longer and longer pauses, as far as they may
		before, steps := asked.Load(), 0
		eventually(t, "the hub is asked again", func() bool {
			clk.Step(5 * time.Second)
			steps++
			for range 100 {
				if asked.Load() > before {
					return true
				}
				time.Sleep(time.Millisecond)
			}
			return false
		})
		if steps > 3 { // a step may come before the pause begins
			t.Fatalf("it was left alone for %d s", 5*steps)
		}
	}
	if err := a.halt(); err != nil {
		t.Fatal(err)
	}
}
