// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import "sync"

// syncer lets concurrent callers share syncs: one of them syncs for all that
// were written before, the others wait.
type syncer struct {
	mu   sync.Mutex
	cond *sync.Cond
	busy bool
	// seq is the last durable frame; offset below which segment is durable, by syncing.
	seq     uint64
	segment uint32
	offset  int64
	// usual is how many bytes a sync makes durable, smoothed.
	usual int64
}

// smallSync is up to where zero-filling ahead saves more bytes, of the file
// system's own journal, than it takes.
const smallSync = 8 << 10

// small says whether syncs are so small that zero-filling ahead of them is worth it.
func (s *syncer) small() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usual < smallSync
}

// syncedIn returns below which offset a segment is known to be durable.
func (s *syncer) syncedIn(segment uint32) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segment != segment {
		return 0
	}
	return s.offset
}

// lead returns once seq is durable (false), or once the caller has to sync (true).
func (s *syncer) lead(seq uint64, failed func() error) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.seq < seq {
		if err := failed(); err != nil {
			return false, err
		}
		if !s.busy {
			s.busy = true
			return true, nil
		}
		s.cond.Wait()
	}
	return false, nil
}

// release ends a leader's turn.
func (s *syncer) release(update func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	update()
	s.cond.Broadcast()
}

// syncTo returns when the frame, and all before it, is durable.
func (j *Journal) syncTo(seq uint64) error {
	lead, err := j.syncs.lead(seq, j.failed)
	if err != nil || !lead {
		return err
	}
	j.mu.RLock()
	target := j.mu.written
	seg := j.mu.segments[len(j.mu.segments)-1]
	end := seg.end
	j.mu.RUnlock()

	if !j.opts.NoSync {
		err = seg.file.Sync()
	}
	if err != nil {
		err = j.fail("sync", seg.name, err)
		j.syncs.release(func() {})
		return err
	}
	j.showRefs(target)
	j.syncs.release(func() {
		j.syncs.seq = target
		if j.opts.NoSync {
			return
		}
		if j.syncs.segment == seg.segment {
			j.syncs.usual += (end - j.syncs.offset - j.syncs.usual) / 8
		}
		j.syncs.segment, j.syncs.offset = seg.segment, end
	})
	return nil
}
