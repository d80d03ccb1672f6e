// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fault is one thing that goes wrong, and for how long.
type fault struct {
	At, For time.Duration
	Target  string
	What    string
	link    condition
}

func (f fault) String() string {
	return fmt.Sprintf("%7.2fs  %-24s %s for %.2fs", f.At.Seconds(), f.Target, f.What, f.For.Seconds())
}

// target is something that faults happen to.
type target struct {
	name    string
	link    *link
	process []*process // what a crash takes down together
}

// plan makes a list of faults out of a seed: equal seeds and targets make equal lists.
func plan(seed uint64, targets []target, duration, longest time.Duration) []fault {
	rng := rand.New(rand.NewPCG(seed, 1))
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64(most-least)+1))
	}
	var faults []fault
	for at := time.Second; at < duration; at += between(200*time.Millisecond, 2500*time.Millisecond) {
		t := targets[rng.IntN(len(targets))]
		f := fault{At: at, Target: t.name, For: between(500*time.Millisecond, longest)}
		switch kind := rng.IntN(10); {
		case kind < 6 && t.link != nil:
			f.link = badLink(rng)
			f.What = f.link.String()
		case kind < 8:
			f.What = "paused"
		default:
			f.What = "killed"
			f.For = min(f.For, 5*time.Second)
		}
		faults = append(faults, f)
	}
	return faults
}

func badLink(rng *rand.Rand) condition {
	switch rng.IntN(6) {
	case 0, 1:
		return condition{cut: true}
	case 2:
		return condition{deafUp: true, deafDown: true}
	case 3:
		return condition{deafUp: true}
	case 4:
		return condition{deafDown: true}
	default:
		return condition{delay: time.Duration(20+rng.IntN(400)) * time.Millisecond, bytesASecs: 20_000 + rng.IntN(100_000)}
	}
}

// misfortune carries a plan out. A target suffers one fault at a time: what
// comes too early is left out, by the plan alone.
type misfortune struct {
	t       *testing.T
	targets map[string]target
	running sync.WaitGroup
}

func (m *misfortune) run(ctx context.Context, faults []fault) {
	begin := time.Now()
	free := map[string]time.Duration{}
	for _, f := range faults {
		if f.At < free[f.Target] {
			continue
		}
		free[f.Target] = f.At + f.For
		select {
		case <-ctx.Done():
			m.running.Wait()
			return
		case <-time.After(time.Until(begin.Add(f.At))):
		}
		m.t.Log(f)
		m.running.Go(func() { m.happen(f) })
	}
	m.running.Wait()
}

func (m *misfortune) happen(f fault) {
	t := m.targets[f.Target]
	switch f.What {
	case "paused":
		for _, p := range t.process {
			p.signal(syscall.SIGSTOP)
		}
		time.Sleep(f.For)
		for _, p := range t.process {
			p.signal(syscall.SIGCONT)
		}
	case "killed":
		for _, p := range t.process {
			p.kill(f.For)
		}
		time.Sleep(f.For)
	default:
		t.link.set(f.link)
		time.Sleep(f.For)
		t.link.set(condition{})
	}
}
