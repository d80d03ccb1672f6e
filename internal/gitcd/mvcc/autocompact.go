// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// CompactMode says what auto-compaction goes by.
type CompactMode uint8

// The modes.
const (
	// CompactNever leaves it to clients.
	CompactNever CompactMode = iota
	// CompactPeriodic keeps what is younger than a time.
	CompactPeriodic
	// CompactByRevision keeps a number of revisions.
	CompactByRevision
)

// AutoCompact says what is compacted without being asked for. The zero value is nothing.
type AutoCompact struct {
	Mode      CompactMode
	Retention time.Duration // of CompactPeriodic
	Revisions int64         // of CompactByRevision
}

const (
	// compactRevisionsEvery is how often CompactByRevision looks.
	compactRevisionsEvery = 5 * time.Minute
	// compactAtMost is the longest that CompactPeriodic is silent once there is something to compact.
	compactAtMost = time.Hour
	// compactSamples is how many revisions it notes in that time.
	compactSamples = 10
)

// ParseAutoCompact reads etcd's --auto-compaction-mode and
// --auto-compaction-retention: a duration or, as a bare number, hours; or a
// number of revisions. A retention of nothing or 0 is no auto-compaction.
func ParseAutoCompact(mode, retention string) (AutoCompact, error) {
	if retention == "" || retention == "0" {
		retention = "0"
	}
	n, err := strconv.ParseInt(retention, 10, 64)
	number := err == nil
	switch mode {
	case "revision":
		if !number || n < 0 {
			return AutoCompact{}, fmt.Errorf("auto-compaction of mode revision keeps a number of revisions, not %q", retention)
		}
		if n == 0 {
			return AutoCompact{}, nil
		}
		return AutoCompact{Mode: CompactByRevision, Revisions: n}, nil
	case "", "periodic":
		d := time.Duration(n) * time.Hour
		if !number {
			if d, err = time.ParseDuration(retention); err != nil {
				return AutoCompact{}, fmt.Errorf("auto-compaction of mode periodic keeps a time such as 30m, not %q", retention)
			}
		}
		if d < 0 {
			return AutoCompact{}, fmt.Errorf("auto-compaction cannot keep less than nothing: %q", retention)
		}
		if d == 0 {
			return AutoCompact{}, nil
		}
		return AutoCompact{Mode: CompactPeriodic, Retention: d}, nil
	default:
		return AutoCompact{}, fmt.Errorf("auto-compaction has the modes periodic and revision, not %q", mode)
	}
}

// keepUp starts what goes on by itself in an open store.
func (s *Store) keepUp() {
	if s.log != nil {
		s.running.Go(func() { s.every(leaseRecordInterval, s.recordLeases) })
	}
	if s.log != nil && s.o.InspectInterval > 0 {
		s.running.Go(func() {
			s.every(s.o.InspectInterval, func(ctx context.Context) { _ = s.Inspect(ctx) }) // the alarm says it
		})
	}
	switch a := s.o.AutoCompact; {
	case a.Mode == CompactPeriodic && a.Retention > 0:
		s.running.Go(s.compactPeriodically)
	case a.Mode == CompactByRevision && a.Revisions > 0:
		s.running.Go(s.compactByRevision)
	}
}

// every calls do again and again until the store is closed.
func (s *Store) every(interval time.Duration, do func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		timer := s.clock.NewTimer(interval)
		select {
		case <-timer.C():
			do(ctx)
		case <-s.stop:
			timer.Stop()
			return
		}
	}
}

// compactTo compacts, unless a client has done so already. What hinders it now, an alarm perhaps, may be gone the
// next time.
func (s *Store) compactTo(ctx context.Context, rev int64) error {
	if rev <= s.CompactRevision() || rev <= 1 {
		return nil
	}
	if _, err := s.Compact(ctx, rev, false); err != nil && !errors.Is(err, ErrCompacted) {
		return err
	}
	return nil
}

// compactPeriodically notes the revision a few times an hour, or in the
// retention if that is shorter, and compacts at what it noted a retention ago.
// It does that once an hour at least, and not more often than each retention.
func (s *Store) compactPeriodically() {
	keep := s.o.AutoCompact.Retention
	period := min(keep, compactAtMost)
	interval := period / compactSamples
	type sample struct {
		rev int64
		at  time.Time
	}
	noted := []sample{{rev: s.Revision(), at: s.clock.Now()}}
	last := s.clock.Now()
	s.every(interval, func(ctx context.Context) {
		now := s.clock.Now()
		noted = append(noted, sample{rev: s.Revision(), at: now})
		if now.Sub(last) < period {
			return
		}
		rev := int64(0)
		for len(noted) > 0 && now.Sub(noted[0].at) >= keep {
			rev, noted = noted[0].rev, noted[1:]
		}
		if rev > 0 && s.compactTo(ctx, rev) == nil {
			last = now
		}
	})
}

// compactByRevision keeps a number of revisions.
func (s *Store) compactByRevision() {
	s.every(compactRevisionsEvery, func(ctx context.Context) {
		_ = s.compactTo(ctx, s.Revision()-s.o.AutoCompact.Revisions) // the next time does it
	})
}
