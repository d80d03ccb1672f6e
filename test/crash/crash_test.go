// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// number returns a number from the environment, or another one.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

const (
	// chain is how many rounds one disk lives.
	chain = 6
	// sample is every how many rounds stock Git has a look.
	sample = 25
)

// TestCrash cuts stores off again and again: each round in all the ways that
// there are, and each of what that leaves once more.
//
//	SOAK_ROUNDS=10000   how many rounds
//	SOAK_SEED=1         the seed of the first disk; each disk has the next
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds := number(t, "SOAK_ROUNDS", 240)
	seed := number(t, "SOAK_SEED", 1)
	if testing.Short() {
		rounds = min(rounds, 60)
	}
	began := time.Now()
	var next, done, variants atomic.Uint64
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for !t.Failed() {
				disk := next.Add(1) - 1
				if disk*chain >= rounds {
					return
				}
				life(t, seed+disk, min(chain, rounds-disk*chain), &variants)
				if n := done.Add(chain); n/600 != (n-chain)/600 {
					t.Logf("%d of %d rounds, %d crashes, %s", n, rounds, variants.Load(), time.Since(began).Round(time.Second))
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d rounds, %d crashes in %s, seeds from %d", rounds, variants.Load(), time.Since(began).Round(time.Millisecond), seed)
}

// life is what happens to one disk.
func life(t *testing.T, seed, rounds uint64, variants *atomic.Uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 17))
	now := left{disk: &vfs.Mem{}, told: newTold()}
	for round := range rounds {
		s := draw(random, int64(1+round/3))
		writers, each := 1+random.IntN(4), 4+random.IntN(24)
		n := 1 + random.IntN(40)
		if random.IntN(4) > 0 { // else it is likely to be cut while it opens
			n = 1 + random.IntN(10+writers*each*3)
		}
		all, err := play(t.Context(), now, s, random, n, writers, each)
		if err != nil {
			failed(t, seed, round, left{disk: now.disk}, err)
			return
		}
		keep := random.IntN(len(all))
		for i, l := range all {
			variants.Add(2)
			before := l.disk.CrashClone(vfs.Kill, nil)
			after, err := compare(t.Context(), l, s, i == keep)
			if err == nil && round%sample == seed%sample {
				err = fsck(t, after.disk)
			}
			if err != nil {
				failed(t, seed, round, left{disk: before, crash: l.crash, at: l.at}, err)
				return
			}
			if i == keep {
				now = after
			}
		}
	}
}

// failed says what broke, how to see it again, and where the disk is.
func failed(t *testing.T, seed, round uint64, l left, err error) {
	t.Helper()
	to, mkErr := os.MkdirTemp("", fmt.Sprintf("crash-%d-%d-", seed, round)) //nolint:usetesting // to be looked at afterwards
	if mkErr == nil {
		mkErr = export(l.disk, to)
	}
	t.Errorf("seed %d, round %d, %s before %s: %v\n  again: SOAK_SEED=%d SOAK_ROUNDS=%d go test -run '^TestCrash$' ./test/crash\n  the disk: %s (%v)",
		seed, round, crashNames[l.crash], l.at, err, seed, chain, to, mkErr)
}
