// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

func open(t *testing.T, log mvcc.Log, o mvcc.Options) *mvcc.Store {
	t.Helper()
	s, err := mvcc.Open(t.Context(), log, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func put(key, value string) mvcc.Txn {
	return mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: []byte(value)}}}}
}

func remove(key string) mvcc.Txn {
	return mvcc.Txn{Then: []mvcc.Op{{Delete: &mvcc.Delete{Key: key}}}}
}

// do does transactions and returns the revision of the last.
func do(t *testing.T, s *mvcc.Store, txns ...mvcc.Txn) (rev int64) {
	t.Helper()
	for _, txn := range txns {
		r, err := s.Txn(t.Context(), txn)
		if err != nil {
			t.Fatal(err)
		}
		rev = r.Revision
	}
	return rev
}

// get reads a key at a revision, "" if it is not there.
func get(t *testing.T, s *mvcc.Store, key string, rev int64) string {
	t.Helper()
	r, err := s.Range(t.Context(), mvcc.RangeRequest{Key: key, Revision: rev})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.KVs) == 0 {
		return ""
	}
	return string(r.KVs[0].Value)
}

// quiet fails if the stream has something to say.
func quiet(t *testing.T, w *mvcc.WatchStream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if r, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("watch says %+v, %v", r, err)
	}
}

// next returns what the stream says next.
func next(t *testing.T, w *mvcc.WatchStream) mvcc.WatchResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// watch starts a watch and takes its first answer.
func watch(t *testing.T, s *mvcc.Store, r mvcc.WatchRequest) *mvcc.WatchStream {
	t.Helper()
	w := s.Watch()
	t.Cleanup(w.Close)
	w.Create(r)
	if r := next(t, w); !r.Created || r.Canceled {
		t.Fatalf("watch is not created: %+v", r)
	}
	return w
}

// brief says what is in a response, as +key@rev and -key@rev.
func brief(r mvcc.WatchResponse) string {
	out := ""
	for _, ev := range r.Events {
		sign := "+"
		if ev.Type == mvcc.EventDelete {
			sign = "-"
		}
		out += fmt.Sprintf("%s%s@%d ", sign, ev.KV.Key, ev.KV.ModRevision)
	}
	return out
}

// gate is a log whose syncs wait until it is opened.
type gate struct {
	mvcc.Log
	mu   sync.Mutex
	held chan struct{} // nil: open
	// waits, if it is there, is told of each sync that has to wait.
	waits chan struct{}
}

func (g *gate) hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held := make(chan struct{})
	g.held = held
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.held = nil
		close(held)
	}
}

func (g *gate) Append(ctx context.Context, frames []mvcc.Frame, durable bool) (uint64, error) {
	seq, err := g.Log.Append(ctx, frames, durable)
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if durable && held != nil {
		if g.waits != nil {
			g.waits <- struct{}{}
		}
		<-held
	}
	return seq, err
}
