// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
	late    time.Duration // after the moment that a kill waits for
}

func (f fault) String() string {
	return time.Now().Format("15:04:05.000 ") + fmt.Sprintf("%7.2fs  %-40s %s for %.2fs", f.At.Seconds(), f.Target, f.What, f.For.Seconds())
}

// target is something that faults happen to: a link, or processes that go down together.
type target struct {
	name    string
	link    *link
	process []*process
	over    []*link // what a gitcd talks over; nil: it is none
}

// uses names what a fault of a target occupies.
func (t target) uses() []string {
	if t.link != nil {
		return []string{t.name}
	}
	var names []string
	for _, p := range t.process {
		names = append(names, p.name)
	}
	return names
}

// plan makes a list of faults out of a seed: equal seeds and targets make equal
// lists. Nothing suffers two faults at a time.
func plan(seed uint64, targets []target, duration, longest time.Duration) []fault {
	rng := rand.New(rand.NewPCG(seed, 1))
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64(most-least)+1))
	}
	var links, processes []target
	for _, t := range targets {
		if t.link != nil {
			links = append(links, t)
		} else {
			processes = append(processes, t)
		}
	}
	var faults []fault
	free := map[string]time.Duration{}
	for at := time.Second; at < duration; at += between(200*time.Millisecond, 2*time.Second) {
		f := fault{At: at, For: between(500*time.Millisecond, longest)}
		var t target
		switch kind := rng.IntN(10); {
		case kind < 6:
			t, f.link = links[rng.IntN(len(links))], badLink(rng)
			f.What = f.link.String()
		case kind < 8:
			t, f.What = processes[rng.IntN(len(processes))], "paused"
		default:
			t, f.What = processes[rng.IntN(len(processes))], atAnyTime
			f.For = min(f.For, 5*time.Second)
		}
		f.Target = t.name
		if *killsFlag {
			continue
		}
		if slices.ContainsFunc(t.uses(), func(name string) bool { return at < free[name] }) {
			continue
		}
		for _, name := range t.uses() {
			free[name] = f.At + f.For
		}
		faults = append(faults, f)
	}
	pause := 4 * time.Second
	if *killsFlag {
		pause = 1500 * time.Millisecond
	}
	faults = append(faults, kills(rng, targets, duration, pause)...)
	slices.SortStableFunc(faults, func(a, b fault) int { return cmp.Compare(a.At, b.At) })
	return faults
}

// The moments at which a gitcd is killed.
const (
	atAnyTime  = "killed"
	atAPush    = "killed when something goes up to the hub"
	atAnAnswer = "killed when something comes down from the hub"
	unheard    = "killed with what it has not handed in"
)

// kills has each gitcd killed in turn: at any time, amid a push, before it hears what came of it, and
// with acknowledged writes that nobody else has. They may meet other faults, and one another.
func kills(rng *rand.Rand, targets []target, duration, pause time.Duration) []fault {
	var all []target
	for _, t := range targets {
		if t.over != nil {
			all = append(all, t)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	pause = min(pause, duration/time.Duration(len(all)+1))
	var faults []fault
	for i, at := 0, pause; at < duration-time.Second; i, at = i+1, at+pause {
		f := fault{At: at, Target: all[i%len(all)].name, For: time.Duration(100+rng.Int64N(int64(pause/2/time.Millisecond))) * time.Millisecond, late: time.Duration(rng.IntN(6)) * time.Millisecond}
		f.What = []string{atAnyTime, atAPush, atAPush, atAnAnswer, unheard, unheard}[rng.IntN(6)]
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

// kill kills at once, and waits until they are started again.
func (t target) kill(down time.Duration) {
	for _, p := range t.process {
		p.kill(down)
	}
	time.Sleep(down)
}

// misfortune carries a plan out.
type misfortune struct {
	t       *testing.T
	targets map[string]target
}

func (m *misfortune) run(ctx context.Context, faults []fault) {
	begin := time.Now()
	var running sync.WaitGroup
	defer running.Wait() // each fault is healed
	for _, f := range faults {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(begin.Add(f.At))):
		}
		m.t.Log(f)
		running.Go(func() { m.happen(f) })
	}
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
	case atAPush, atAnAnswer:
		passed := make(chan struct{}, 1)
		for _, l := range t.over {
			l.next(f.What == atAPush, passed)
		}
		select {
		case <-passed:
			time.Sleep(f.late)
		case <-time.After(5 * time.Second): // the link is down, or nobody has anything to say
		}
		t.kill(f.For)
	case unheard:
		for _, l := range t.over {
			l.set(condition{deafUp: true})
		}
		time.Sleep(1500 * time.Millisecond)
		t.kill(f.For)
		for _, l := range t.over {
			l.set(condition{})
		}
	case atAnyTime:
		t.kill(f.For)
	default:
		t.link.set(f.link)
		time.Sleep(f.For)
		t.link.set(condition{})
	}
}
