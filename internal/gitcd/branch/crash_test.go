// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// acked is what clients were told: each counts up in its own key.
type acked struct {
	mu    sync.Mutex
	count map[string]int   // key -> the last number acknowledged
	rev   map[string]int64 // key -> its revision
	round int              // how many in this round
}

// TestCrash cuts the power again and again while clients write. What was
// acknowledged is there, at its revision; of what was not, at most the next write.
func TestCrash(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fsys := &vfs.Mem{}
	told := &acked{count: map[string]int{}, rev: map[string]int64{}}
	var crash vfs.Crash
	for round := range 40 {
		told.round = 0
		epoch := int64(1 + round/10)
		b, err := branch.Open(t.Context(), fsys, "/r", journal.Options{SegmentSize: 1 << 15}, mvcc.Options{
			Branch: "refs/heads/x", Epoch: epoch, CheckpointBytes: 4 << 10, ValueBudget: 4 << 10,
		})
		if err != nil {
			t.Fatalf("round %d after crash %d: %v", round, crash, err)
		}
		told.check(t, b.Store, round)
		crash = vfs.Crash(round % 3)
		at := 20 + random.IntN(200)
		ctx, cancel := context.WithCancel(t.Context())
		cut := make(chan *vfs.Mem, 1)
		var once sync.Once
		var group sync.WaitGroup
		for client := range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					if n := told.write(ctx, t, b.Store, client); n >= at {
						once.Do(func() {
							told.mu.Lock() // what is acknowledged later was so after the crash: it is not told
							defer told.mu.Unlock()
							cut <- fsys.CrashClone(crash, random)
							cancel()
						})
					}
				}
			})
		}
		group.Wait()
		cancel()
		fsys = <-cut
		if err := b.Close(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := branch.Open(t.Context(), fsys, "/r", journal.Options{}, mvcc.Options{Branch: "refs/heads/x", Epoch: 9})
	if err != nil {
		t.Fatal(err)
	}
	told.check(t, b.Store, -1)
	head, err := b.Store.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("head %s at revision %d, %d keys", head, b.Store.Revision(), len(told.count))
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := journal.Check(fsys, "/r", func(law, where string) { t.Errorf("law %s is broken: %s", law, where) }); err != nil {
		t.Error(err)
	}
}

// write counts one up, and returns how many writes were told in this round.
func (a *acked) write(ctx context.Context, t *testing.T, s *mvcc.Store, client int) int {
	t.Helper()
	key := fmt.Sprintf("/registry/pods/d/%d", client)
	if client == 3 {
		key = "/registry/leases/d/3" // of another grain
	}
	a.mu.Lock()
	n := a.count[key] + 1
	a.mu.Unlock()
	r, err := s.Txn(ctx, put(key, strconv.Itoa(n)))
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && ctx.Err() == nil {
		a.count[key], a.rev[key] = n, r.Revision
		a.round++
	}
	return a.round
}

func (a *acked) check(t *testing.T, s *mvcc.Store, round int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, want := range a.count {
		value, rev, err := s.KeyState(key)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		have, _ := strconv.Atoi(string(value))
		switch {
		case have == want && rev != a.rev[key]:
			t.Errorf("round %d: %s is %d at revision %d, was acknowledged at %d", round, key, have, rev, a.rev[key])
		case have == want+1 && rev > a.rev[key]: // written, not told
			a.count[key], a.rev[key] = have, rev
		case have != want:
			t.Errorf("round %d: %s is %d, acknowledged is %d (grain %s)", round, key, have, want, layout.DefaultGrains().Of(key))
		}
	}
}
