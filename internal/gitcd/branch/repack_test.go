// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestRepackUnderway repacks all the time, with nothing left of what was
// folded, while clients write keys of each grain and compact, and cuts the power.
func TestRepackUnderway(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 8))
	fsys := &vfs.Mem{}
	told := &acked{count: map[string]int{}, rev: map[string]int64{}}
	var crash vfs.Crash
	repacks := int64(0)
	jo := journal.Options{SegmentSize: 1 << 13, PublishInterval: 5 * time.Millisecond, Keep: branch.Keep, RepackRate: -1}
	o := mvcc.Options{Branch: "refs/heads/x", CheckpointBytes: 2 << 10, ValueBudget: 1 << 10}
	for round := range 12 {
		told.round = 0
		b, err := branch.Open(t.Context(), fsys, "/r", jo, o)
		if err != nil {
			t.Fatalf("round %d after crash %d: %v", round, crash, err)
		}
		told.check(t, b.Store, round)
		crash = vfs.Crash(round % 3)
		at := 60 + random.IntN(200)
		ctx, cancel := context.WithCancel(t.Context())
		cut := make(chan *vfs.Mem, 1)
		var once sync.Once
		var group sync.WaitGroup
		group.Go(func() {
			for ctx.Err() == nil {
				if _, err := b.Journal.Repack(ctx, journal.Repacking{All: round%2 == 0, Now: true}); err != nil && ctx.Err() == nil {
					t.Errorf("round %d: %v", round, err)
					cancel()
				}
			}
		})
		for client := range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(3 * time.Millisecond) // let the repack keep up
					n := told.write(ctx, t, b.Store, client)
					local := fmt.Sprintf("/registry/masterleases/10.0.0.%d", client)
					if _, err := b.Store.Txn(ctx, put(local, strings.Repeat("x", n%50))); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
					if rev := b.Store.Revision(); n%25 == 0 {
						if _, err := b.Store.Compact(ctx, rev, false); err != nil && ctx.Err() == nil && !errors.Is(err, mvcc.ErrCompacted) {
							t.Error(err)
						}
					}
					if n >= at && b.Journal.History().Repacks > 0 {
						once.Do(func() {
							told.mu.Lock()
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
		if t.Failed() {
			t.FailNow()
		}
		repacks += b.Journal.History().Repacks
		fsys = <-cut
		if err := b.Close(context.WithoutCancel(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := branch.Open(t.Context(), fsys, "/r", jo, o)
	if err != nil {
		t.Fatal(err)
	}
	told.check(t, b.Store, -1)
	all, err := b.Store.Range(t.Context(), mvcc.RangeRequest{Key: "\x00", End: "\x00"})
	if err != nil || len(all.KVs) < 8 {
		t.Errorf("%d keys, %v", len(all.KVs), err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if repacks < 12 {
		t.Errorf("%d repacks", repacks)
	}
	t.Logf("%d repacks", repacks)
	if err := journal.Check(fsys, "/r", func(law, where string) { t.Errorf("law %s is broken: %s", law, where) }); err != nil {
		t.Error(err)
	}
}

// TestKeep yields what the checkpoint of one branch, and of several, names.
func TestKeep(t *testing.T) {
	fsys := &vfs.Mem{}
	r, err := openAll(t.Context(), fsys, "/r", "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("nobody commits this ", 4)
	for i := range 100 {
		if _, err := r.Each[0].Txn(t.Context(), put("/registry/health", fmt.Sprintf("%s %d", value, i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Each[0].Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkpoint, _, err := r.j.LastCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	found := map[gitobj.ID]gitobj.Kind{}
	if err := branch.Keep(checkpoint, func(kind gitobj.Kind, id gitobj.ID) { found[id] = kind }); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if id := gitobj.Hash(gitobj.KindBlob, fmt.Appendf(nil, "%s %d", value, i)); found[id] != gitobj.KindBlob {
			t.Errorf("value %d is not kept", i)
		}
	}
	for cut := range checkpoint {
		if err := branch.Keep(checkpoint[:cut], func(gitobj.Kind, gitobj.ID) {}); err == nil && cut < 8 {
			t.Errorf("the first %d bytes are taken for a checkpoint", cut)
		}
	}
	if err := r.close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
