// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// mux gives several stores one journal.
//
// Lock order: saving, mu. Nothing slow is done under mu: appending takes it.
type mux struct {
	j     *journal.Journal
	names []string // of all branches, by number; those of the table first
	alone bool     // one branch, and no table: logs need no mux

	// saving is held by the one who writes the journal's checkpoint.
	saving sync.Mutex
	// tails are the records that the table holds, by branch. They change under saving.
	tails map[int][]kept

	mu struct {
		sync.Mutex
		at      []position
		stopped bool
	}
	background sync.WaitGroup
}

// position is how far a branch is, in frames of the journal.
type position struct {
	// first is at or before its first record that neither its checkpoint nor the table has; 0: there is none.
	first uint64
	// last is its last record, and writing how many appends are under way.
	last    uint64
	writing int
	// recent are its last records, in order, up to recentBytes; dropped is the last one that was put away for them.
	recent  []kept
	size    int
	dropped uint64

	store *mvcc.Store // nil: not open
	busy  bool        // it was asked to save
}

const (
	// recentBytes is how much of a branch's records is at hand for the table.
	recentBytes = 64 << 10
	// tailBytes is how much of them the table takes of one that is open: beyond that it is to save.
	tailBytes = 256 << 10
)

// newMux finds out which branches a journal has, and which records the
// branches that are not to be opened have.
func newMux(j *journal.Journal, open []string) (*mux, error) {
	t, err := readTable(j)
	if err != nil {
		return nil, err
	}
	m := &mux{j: j, tails: map[int][]kept{}}
	if len(t) == 0 && len(open) == 1 {
		m.alone, m.names = true, open
		m.mu.at = make([]position, 1)
		return m, nil
	}
	covered := make([]uint64, len(t))
	for n, e := range t {
		m.names = append(m.names, e.name)
		covered[n] = e.upTo
		if len(e.tail) > 0 {
			m.tails[n] = e.tail
			covered[n] = e.tail[len(e.tail)-1].seq
		}
	}
	for _, name := range open {
		if !slices.Contains(m.names, name) {
			m.names = append(m.names, name)
		}
	}
	m.mu.at = make([]position, len(m.names))
	for n := range m.mu.at {
		m.mu.at[n].last = at(covered, n)
	}
	return m, j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		if len(record) == 0 {
			return nil
		}
		n, own, err := untag(seq, record)
		if err != nil {
			return err
		}
		if n >= max(len(t), 1) {
			return fmt.Errorf("record %d is of branch %d, which the table does not have: %w", seq, n, errTable)
		}
		switch {
		case seq <= at(covered, n):
		case !slices.Contains(open, m.names[n]):
			m.tails[n] = append(m.tails[n], kept{seq: seq, record: slices.Clone(own)})
			m.mu.at[n].last = seq
		default:
			m.found(n, seq, own)
		}
		return nil
	})
}

func at(covered []uint64, n int) uint64 {
	if n < len(covered) {
		return covered[n]
	}
	return 0
}

// found notes a record that was there at the start.
func (m *mux) found(n int, seq uint64, own []byte) {
	p := &m.mu.at[n]
	if p.first == 0 {
		p.first = seq
	}
	p.last = seq
	p.keep(kept{seq: seq, record: slices.Clone(own)})
}

// open opens the store of a branch.
func (m *mux) open(ctx context.Context, o mvcc.Options) (*mvcc.Store, error) {
	if m.alone {
		return mvcc.Open(ctx, log{j: m.j}, o)
	}
	n := slices.Index(m.names, o.Branch)
	if n > 0 {
		if err := m.enlist(ctx); err != nil {
			return nil, err
		}
	}
	s, err := mvcc.Open(ctx, log{j: m.j, m: m, n: n}, o)
	if n == 0 && errors.Is(err, mvcc.ErrForeignHead) {
		return nil, fmt.Errorf("%w; if the repository was served with another branch until now, put that one first", err)
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.at[n].store = s
	return s, nil
}

// enlist makes the names durable (law B4). The first branch was opened by then:
// if what the journal has is not its, that has been found out.
func (m *mux) enlist(ctx context.Context) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	t, upTo, err := m.table()
	if err != nil || len(t) == len(m.names) {
		return err
	}
	for _, name := range m.names[len(t):] {
		t = append(t, entry{name: name})
	}
	if err := m.j.Checkpoint(ctx, t.encode(), upTo); err != nil {
		return fmt.Errorf("enlist the branches: %w", err)
	}
	return nil
}

// table reads the table from the journal. A checkpoint that is not a table is that of the first branch.
func (m *mux) table() (table, uint64, error) {
	checkpoint, upTo, err := m.j.LastCheckpoint()
	switch {
	case err != nil:
		return nil, 0, err
	case isTable(checkpoint):
		t, err := decodeTable(checkpoint)
		return t, upTo, err
	case checkpoint != nil:
		return table{{name: m.names[0], upTo: upTo, payload: checkpoint}}, upTo, nil
	default:
		return nil, upTo, nil
	}
}

// begin notes that a record is about to be written: whoever saves meanwhile does not cover it.
func (m *mux) begin(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.mu.at[n]
	p.writing++
	if p.first == 0 {
		p.first = m.j.Seq() + 1 // under the lock, or a checkpoint in between could go beyond it
	}
}

// end notes what was written: one frame each, the last at seq.
func (m *mux) end(n int, seq uint64, frames []mvcc.Frame) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.mu.at[n]
	p.writing--
	p.last = max(p.last, seq)
	for i, f := range frames {
		if len(f.Record) > 0 {
			behind := len(frames) - 1 - i
			p.keep(kept{seq: seq - uint64(behind), record: slices.Clone(f.Record)}) //nolint:gosec // not negative
		}
	}
}

// keep adds to the recent records. Two appends may end in another order than they were written in.
func (p *position) keep(k kept) {
	i := len(p.recent)
	for i > 0 && p.recent[i-1].seq > k.seq {
		i--
	}
	p.recent = slices.Insert(p.recent, i, k)
	p.size += len(k.record)
	gone := 0
	for ; p.size > recentBytes; gone++ {
		p.size -= len(p.recent[gone].record)
		p.dropped = p.recent[gone].seq
	}
	p.recent = slices.Delete(p.recent, 0, gone)
}

// forget drops what a checkpoint covers.
func (p *position) forget(upTo uint64) {
	gone := 0
	for ; gone < len(p.recent) && p.recent[gone].seq <= upTo; gone++ {
		p.size -= len(p.recent[gone].record)
	}
	p.recent = slices.Delete(p.recent, 0, gone)
}

// checkpoint puts a store's checkpoint into the table. The journal's goes as far as all branches allow.
func (m *mux) checkpoint(ctx context.Context, n int, payload []byte, upTo uint64) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	t, reached, err := m.table()
	if err != nil {
		return err
	}
	for len(t) <= n {
		t = append(t, entry{name: m.names[len(t)]})
	}
	before := t[n].upTo
	t[n].payload, t[n].upTo = payload, upTo
	left := slices.DeleteFunc(slices.Clone(m.tails[n]), func(k kept) bool { return k.seq <= upTo })
	reach := m.reach(t, n, before, max(upTo, reached))
	for i := range t {
		t[i].tail = m.tails[i]
	}
	t[n].tail = left
	if err := m.j.Checkpoint(ctx, t.encode(), reach); err != nil {
		return err
	}
	m.tails[n] = left // not before: what could not be written leaves the table as it was
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.mu.at[n]
	p.forget(upTo)
	if p.first = 0; p.writing > 0 || p.last > upTo {
		p.first = max(upTo, reach) + 1
	}
	return nil
}

// reach returns how far the journal's checkpoint may go, at most to upTo, when
// branch n has saved. Branches with records from before its last checkpoint have
// them put into the table, or if they are many are asked to save, too.
func (m *mux) reach(t table, n int, before, upTo uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.mu.at {
		p := &m.mu.at[i]
		if i == n || p.first == 0 {
			continue
		}
		if p.first <= before && !m.take(t, i) {
			m.ask(i)
		}
		if p.first > 0 {
			upTo = min(upTo, p.first-1)
		}
	}
	return upTo
}

// take puts a branch's records into the table, if they are all at hand and few.
func (m *mux) take(t table, n int) bool {
	p := &m.mu.at[n]
	tail := m.tails[n]
	var covered uint64
	if n < len(t) {
		covered = t[n].upTo
	}
	size := p.size
	for _, k := range tail {
		size += len(k.record)
		covered = max(covered, k.seq)
	}
	if n >= len(t) || p.writing > 0 || p.dropped > covered || size > tailBytes {
		return false
	}
	for _, k := range p.recent {
		if k.seq > covered {
			tail = append(tail, k)
		}
	}
	m.tails[n], p.recent, p.size, p.first = tail, nil, 0, 0
	return true
}

// ask has a branch save, in the background.
func (m *mux) ask(n int) {
	p := &m.mu.at[n]
	if p.busy || p.store == nil || m.mu.stopped {
		return
	}
	p.busy = true
	m.background.Go(func() {
		// If it cannot, it has failed, or will be asked again.
		_ = p.store.Save(context.Background())
		m.mu.Lock()
		defer m.mu.Unlock()
		p.busy = false
	})
}

// stopSaving asks nobody any more, and waits for those who were.
func (m *mux) stopSaving() {
	m.mu.Lock()
	m.mu.stopped = true
	m.mu.Unlock()
	m.background.Wait()
}

// replay yields the records of a branch that its checkpoint does not cover: those in the table, then those in the journal.
func (m *mux) replay(n int, yield func(seq uint64, record []byte) error) error {
	t, _, err := m.table()
	if err != nil {
		return err
	}
	var after uint64
	if n < len(t) {
		after = t[n].upTo
		for _, k := range t[n].tail {
			if k.seq <= after {
				continue
			}
			if err := yield(k.seq, k.record); err != nil {
				return err
			}
			after = k.seq
		}
	}
	return m.j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		if len(record) == 0 || seq <= after {
			return nil
		}
		of, own, err := untag(seq, record)
		if err != nil || of != n {
			return err
		}
		return yield(seq, own)
	})
}
