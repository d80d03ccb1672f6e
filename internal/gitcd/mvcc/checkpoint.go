// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

const (
	checkpointFormat = 1
	recordCheckpoint = 4
)

// payload is a checkpoint: the keys as they were before the events that are
// still held, those events, and where the committer is.
//
//	payload = format 4 rev compacted number time session
//	          leases (id ttl)...  place head  dirty (key verb grain blob)...
//	          keys (op)...  events (op)...  alarms  remaining (id ttl)...  [keys]
type payload struct {
	view    view
	window  window
	leases  []Lease
	number  uint64
	time    int64
	session session

	at    place
	head  gitobj.ID
	dirty []dirtyEntry
	full  bool
	keys  string
}

type dirtyEntry struct {
	key string
	dirtyKey
}

func (p *payload) encode() []byte {
	e := encoder{b: []byte{checkpointFormat, recordCheckpoint}}
	e.int(p.view.rev)
	e.int(p.view.compacted)
	e.uint(p.number)
	e.int(p.time)
	e.session(p.session)
	e.length(len(p.leases))
	for _, l := range p.leases {
		e.int(int64(l.ID))
		e.int(l.Granted)
	}
	e.place(p.at)
	e.id(p.head)
	e.bool(p.full)
	e.length(len(p.dirty))
	for _, d := range p.dirty {
		e.key(d.key)
		e.b = append(e.b, byte(d.verb))
		e.id(d.blob)
	}
	p.encodeKeys(&e)
	return e.b
}

// encodeKeys writes first the keys as they were before the events, then the events.
func (p *payload) encodeKeys(e *encoder) {
	first, last := p.window.from(p.view.compacted), p.window.from(p.view.rev+1)
	before := map[string]*version{}
	for n := first; n < last; n++ {
		ev := p.window.at(n)
		if _, seen := before[ev.key]; !seen {
			before[ev.key] = ev.before
		}
	}
	var keys []found
	for key, v := range before {
		if v.live() {
			keys = append(keys, found{key: key, ver: v})
		}
	}
	p.view.live.Scan(func(it item) bool {
		if _, changed := before[it.key]; !changed {
			keys = append(keys, found{key: it.key, ver: it.head})
		}
		return true
	})
	slices.SortFunc(keys, func(a, b found) int { return compareKeys(a.key, b.key) })
	e.length(len(keys))
	for _, f := range keys {
		e.op(opOf(f.key, f.ver))
	}
	e.length(last - first)
	for n := first; n < last; n++ {
		e.op(opOf(p.window.at(n).key, p.window.at(n).after))
	}
	p.encodeMore(e)
}

// encodeMore writes what the first version did not have: alarms, and what is left of leases.
func (p *payload) encodeMore(e *encoder) {
	e.b = append(e.b, byte(p.view.alarms))
	var short []Lease
	for _, l := range p.leases {
		if l.recorded > 0 {
			short = append(short, l)
		}
	}
	e.length(len(short))
	for _, l := range short {
		e.int(int64(l.ID))
		e.int(l.recorded)
	}
	if p.keys != "" {
		e.string(p.keys)
	}
}

func (r *recovery) more(d *decoder) {
	r.state.alarms = alarmSet(d.byte())
	for range d.length() {
		r.state.leases.remain(LeaseID(d.int()), d.int())
	}
	if len(d.b) > 0 {
		r.keys = d.string()
	}
}

func compareKeys(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func opOf(key string, v *version) *op {
	if v.deleted {
		return &op{kind: opDelete, key: key, mod: v.mod, placed: v.sub != 0, sub: v.sub}
	}
	grain := layout.Full
	if v.aside {
		grain = layout.Local
	}
	return &op{
		kind: opPut, grain: grain, key: key, mod: v.mod, create: v.create, ver: v.ver, lease: v.lease, blob: v.blob, size: v.size,
		placed: v.sub != 0, sub: v.sub,
	}
}

// load reads a checkpoint into a recovery that has nothing yet.
func (r *recovery) load(b []byte) error {
	d := newDecoder(b)
	if kind := d.header(); kind != recordCheckpoint && d.err == nil {
		d.fail("not a checkpoint")
	}
	rev, compacted := d.int(), d.int()
	r.state.number, r.state.time, r.state.session = d.uint(), d.int(), d.session()
	for range d.length() {
		r.state.leases.grant(LeaseID(d.int()), d.int())
	}
	r.entered = r.state.session
	r.committed, r.head = d.place(), d.id()
	r.committer.full = d.bool()
	for range d.length() {
		key := d.key()
		r.committer.dirty[key] = dirtyKey{verb: verb(d.byte()), blob: d.id()}
	}
	for range d.length() {
		if o := d.op(); d.err == nil {
			o.placed = true
			r.state.apply(&o)
		}
	}
	for range d.length() {
		if o := d.op(); d.err == nil {
			o.placed = true
			r.op(&o)
		}
	}
	r.state.rev, r.state.compacted = rev, compacted
	if len(d.b) > 0 { // earlier versions end here
		r.more(d)
	}
	return d.end()
}

// checkpoints follows how much a replay would have to read.
type checkpoints struct {
	bytes atomic.Int64 // of records since the last one
	busy  atomic.Bool

	mu   sync.Mutex // guards last, and writing
	last uint64     // up to which record the last one goes
}

// save writes a checkpoint, if it says more than the last one.
func (s *Store) save(p *payload, upTo uint64) error {
	s.saves.mu.Lock()
	defer s.saves.mu.Unlock()
	if upTo <= s.saves.last {
		return nil
	}
	if err := s.log.Checkpoint(context.Background(), p.encode(), upTo); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	s.saves.last = upTo
	return nil
}

// grown saves the index, in the background, when enough was recorded since the last time.
func (s *Store) grown(size int) {
	if s.saves.bytes.Add(int64(size)) < s.o.CheckpointBytes || !s.saves.busy.CompareAndSwap(false, true) {
		return
	}
	s.saves.bytes.Store(0)
	t := &checkpointTask{waiter: newWaiter(), store: s, finish: func(err error) {
		s.saves.busy.Store(false)
		switch {
		case errors.Is(err, ErrNoSpace):
			s.noSpace() // the last checkpoint stays: replay takes longer
		case err != nil:
			_ = s.fail(err) // the journal is dead; the next change says so
		}
	}}
	if err := s.line.inbox.post(t); err != nil {
		s.saves.busy.Store(false)
	}
}

// checkpointNow saves the index as it is, and waits for it.
func (s *Store) checkpointNow(ctx context.Context) error {
	done := make(chan error, 1)
	t := &checkpointTask{waiter: newWaiter(), store: s, finish: func(err error) { done <- err }}
	if err := s.do(ctx, t, t.waiter); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkpointTask asks the line for a point between two batches, and the
// committer for where it is when it comes to that point. Writing is done in a
// goroutine of its own: nobody waits for it.
type checkpointTask struct {
	waiter
	store  *Store
	finish func(error)
	p      payload
}

func (t *checkpointTask) perform(l *line, b *batch) {
	t.p = payload{
		keys: l.store.keysText(),
		view: l.state.view, leases: l.state.leases.list(), number: l.state.number, time: l.state.time, session: l.state.session,
	}
	t.p.view.index = l.state.copy()
	if len(b.record.txns) > 0 {
		t.p.number = l.state.number + 1 // the batch that is about to be sealed
		t.p.time = max(l.state.time, l.store.clock.Now().UnixNano())
	}
	b.full = true
	b.tokens = append(b.tokens, token{reach: t.reach, fail: t.finish})
}

func (t *checkpointTask) reach(c *committer, b *batch) error {
	if err := c.write(false); err != nil {
		return err
	}
	t.p.at, t.p.head, t.p.full = c.at, c.head, c.full
	for key, d := range c.dirty {
		t.p.dirty = append(t.p.dirty, dirtyEntry{key: key, dirtyKey: d})
	}
	slices.SortFunc(t.p.dirty, func(a, b dirtyEntry) int { return compareKeys(a.key, b.key) })
	t.p.window = t.store.hub.held()
	upTo := b.seq
	t.store.running.Go(func() { t.finish(t.store.save(&t.p, upTo)) })
	return nil
}
