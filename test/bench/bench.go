// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// bench is a run.
type bench struct {
	peers    []peer
	table    *table
	dir      string // where servers have their data
	out      string // where results go
	bin      string
	scale    scale
	random   bool
	profile  bool
	profiles map[string]string // phase -> file
	keep     bool
	progress io.Writer
	disk     *diskTimes
	began    time.Time
	analysis []string // paragraphs below the table
}

// scale is how long and how big the works are.
type scale struct {
	rounds       int
	length, warm time.Duration
	listed       int // keys that are listed
	filled       int // keys of the restart
	directory    int // keys of the large directory
	configMaps   int
	pods         int
	propagated   int // writes that are followed from heaven to heaven
	pushed       int // pushes of each of the hub's clients
}

var (
	fullScale  = scale{rounds: 3, length: 3 * time.Second, warm: 500 * time.Millisecond, listed: 10000, filled: 200000, directory: 20000, configMaps: 10000, pods: 5000, propagated: 300, pushed: 100}
	quickScale = scale{rounds: 1, length: time.Second, warm: 300 * time.Millisecond, listed: 10000, filled: 50000, directory: 20000, configMaps: 1000, pods: 500, propagated: 60, pushed: 40}
)

// work measures all servers once, for one round.
type work struct {
	name string
	run  func(b *bench, ctx context.Context, round int) error
}

var works = []work{
	{"disk", (*bench).disks},
	{"write", (*bench).writes},
	{"read", (*bench).reads},
	{"watch", (*bench).watches},
	{"restart", (*bench).restarts},
	{"directory", (*bench).directories},
	{"kubernetes", (*bench).kubernetes},
	{"coordination", (*bench).coordination},
}

// rooted are works that are done only if they are asked for: they need root and the sandbox.
var rooted = []work{
	{"pods", (*bench).pods},
}

// run runs works for all rounds. An error of a work is that of the machine or
// of this program: what a server does wrong fails its rows only.
func (b *bench) run(ctx context.Context, works []work) error {
	b.began = time.Now()
	for round := range b.scale.rounds {
		for _, w := range works {
			began := time.Now()
			if err := w.run(b, ctx, round); err != nil {
				return fmt.Errorf("%s, round %d: %w", w.name, round+1, err)
			}
			b.say("round %d of %d: %s took %s", round+1, b.scale.rounds, w.name, time.Since(began).Round(time.Second))
		}
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%6.1fs "+format+"\n", append([]any{time.Since(b.began).Seconds()}, args...)...)
}

// field is the servers of one round of a work.
type field struct {
	b       *bench
	round   int
	servers []*server
}

// start starts the servers on fresh directories, and stops them until it is
// their turn. A server that does not start fails the rows with a prefix.
func (b *bench) start(ctx context.Context, round int, prefix string, peers []peer) (*field, error) {
	f := &field{b: b, round: round}
	for _, p := range peers {
		dir, err := os.MkdirTemp(b.dir, p.name+"-")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a fresh directory: %w", err), f.stop())
		}
		s, err := p.start(ctx, dir)
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err, f.stop())
		}
		if err != nil {
			b.fail(prefix, p.name, err)
			continue
		}
		f.servers = append(f.servers, s)
		if err := s.signal(syscall.SIGSTOP); err != nil {
			return nil, errors.Join(err, f.stop())
		}
	}
	return f, nil
}

func (b *bench) fail(prefix, server string, err error) {
	b.say("%s: %s failed: %v", prefix, server, err)
	b.table.fail(prefix, server, err)
}

// each gives each server its turn at a phase, whose rows begin with a prefix.
// A server that fails has had its last turn of the round.
func (f *field) each(ctx context.Context, prefix string, turn func(ctx context.Context, s *server) error) error {
	order := slices.Clone(f.servers)
	if f.round%2 == 1 {
		slices.Reverse(order)
	}
	for _, s := range order {
		if err := s.signal(syscall.SIGCONT); err != nil {
			f.drop(s, prefix, err)
			continue
		}
		err := turn(ctx, s)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err == nil {
			err = s.signal(syscall.SIGSTOP)
		}
		if err != nil {
			f.drop(s, prefix, err)
		}
	}
	return nil
}

func (f *field) drop(s *server, prefix string, err error) {
	f.b.fail(prefix, s.name, err)
	f.servers = slices.DeleteFunc(f.servers, func(o *server) bool { return o == s })
	if err := f.remove(s); err != nil {
		f.b.say("%v", err)
	}
}

func (f *field) remove(s *server) error {
	if err := s.kill(); err != nil {
		return err
	}
	if f.b.keep {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove what %s left: %w", s.name, err)
	}
	return nil
}

// stop kills the servers and removes what they wrote.
func (f *field) stop() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, f.remove(s))
	}
	f.servers = nil
	return errors.Join(errs...)
}

// only returns the peers with these names.
func (b *bench) only(names ...string) []peer {
	return slices.DeleteFunc(slices.Clone(b.peers), func(p peer) bool { return !slices.Contains(names, p.name) })
}

func (b *bench) path(name string) string { return filepath.Join(b.out, name) }
