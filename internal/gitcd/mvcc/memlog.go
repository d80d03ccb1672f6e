// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// MemLog is a Log in memory. The zero value is empty and ready. It outlives a
// Store, so that a test can open another one on it.
type MemLog struct {
	mu struct {
		sync.RWMutex
		objects map[gitobj.ID]stored
		refs    map[string]gitobj.ID // name -> head
		records []memRecord
		seq     uint64
		payload []byte
		upTo    uint64
		err     error
	}
}

type stored struct {
	kind gitobj.Kind
	data []byte
}

type memRecord struct {
	seq  uint64
	data []byte
}

var _ Log = (*MemLog)(nil)

// Append implements Log.
func (m *MemLog) Append(_ context.Context, frames []Frame, _ bool) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.err != nil {
		return 0, m.mu.err
	}
	if m.mu.objects == nil {
		m.mu.objects, m.mu.refs = map[gitobj.ID]stored{}, map[string]gitobj.ID{}
	}
	if err := m.checkRefsLocked(frames); err != nil {
		return 0, err
	}
	for _, f := range frames {
		for _, o := range f.Objects {
			m.mu.objects[o.ID] = stored{kind: o.Kind, data: o.Data}
		}
		for _, r := range f.Refs {
			m.mu.refs[r.Name] = r.New
		}
		if f.Record != nil {
			m.mu.seq++
			m.mu.records = append(m.mu.records, memRecord{seq: m.mu.seq, data: slices.Clone(f.Record)})
		}
	}
	return m.mu.seq, nil
}

func (m *MemLog) checkRefsLocked(frames []Frame) error {
	now := map[string]gitobj.ID{}
	for _, f := range frames {
		for _, r := range f.Refs {
			have, seen := now[r.Name]
			if !seen {
				have = m.mu.refs[r.Name]
			}
			if have != r.Old {
				return fmt.Errorf("move ref %s: it is at %s, not at %s", r.Name, have, r.Old)
			}
			now[r.Name] = r.New
		}
	}
	return nil
}

// Get implements Log.
func (m *MemLog) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.mu.objects[id]
	if !ok {
		return 0, nil, fmt.Errorf("get object %s: there is none", id)
	}
	return o.kind, o.data, nil
}

// Ref implements Log.
func (m *MemLog) Ref(name string) (gitobj.ID, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.mu.refs[name]
	return id, ok
}

// Checkpoint implements Log.
func (m *MemLog) Checkpoint(_ context.Context, payload []byte, upTo uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.err != nil {
		return m.mu.err
	}
	if upTo < m.mu.upTo {
		return fmt.Errorf("save checkpoint: there is a later one, up to record %d, than this one, up to %d", m.mu.upTo, upTo)
	}
	m.mu.payload, m.mu.upTo = slices.Clone(payload), upTo
	m.mu.records = slices.DeleteFunc(m.mu.records, func(r memRecord) bool { return r.seq <= upTo })
	return nil
}

// LastCheckpoint implements Log.
func (m *MemLog) LastCheckpoint() (payload []byte, upTo uint64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.payload, m.mu.upTo, nil
}

// Replay implements Log.
func (m *MemLog) Replay(yield func(seq uint64, record []byte) error) error {
	m.mu.RLock()
	records := slices.Clone(m.mu.records)
	m.mu.RUnlock()
	for _, r := range records {
		if err := yield(r.seq, r.data); err != nil {
			return err
		}
	}
	return nil
}

// Fail makes every later Append and Checkpoint return err, as a disk does that has failed.
func (m *MemLog) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.err = err
}
