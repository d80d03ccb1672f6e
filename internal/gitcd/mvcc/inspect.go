// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"fmt"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

const (
	// inspectInterval is how often all values are read, by default.
	inspectInterval = 24 * time.Hour
	// inspectChunk is how many are read in one go, and inspectPause the time between: the disk is for clients.
	inspectChunk = 64
	inspectPause = 20 * time.Millisecond
)

// Inspect reads every value that a client could read, and compares it with its
// name, which is its hash. It raises AlarmCorrupt for the first that is not what
// was written, and says which.
func (s *Store) Inspect(ctx context.Context) error {
	if s.log == nil {
		return nil
	}
	for {
		p, err := s.Past(ctx)
		if err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
		if err = s.inspect(ctx, p); err == nil || s.CompactRevision() == p.Compacted {
			return err
		}
		// A compaction came between: what was missing may not be missed.
	}
}

func (s *Store) inspect(ctx context.Context, p *Past) error {
	n := 0
	return p.versions(func(key string, v *version) error {
		if v.deleted {
			return nil
		}
		if n++; n%inspectChunk == 0 && !s.pause(ctx, inspectPause) {
			return ctx.Err()
		}
		err := s.sound(v.blob)
		if err != nil {
			err = s.sound(v.blob) // again: a fold may just have moved it
		}
		if err == nil {
			return nil
		}
		if failed := s.failure(); failed != nil {
			return failed
		}
		if s.CompactRevision() != p.Compacted {
			return err
		}
		err = fmt.Errorf("inspect: key %q at revision %d: %w; run gitcd verify, and restore what it names", key, v.mod, err)
		s.alert(AlarmCorrupt)
		if raised := s.SetAlarm(ctx, AlarmCorrupt, true); raised != nil {
			return fmt.Errorf("%w; it is not on record: %w", err, raised)
		}
		return err
	})
}

// sound says whether a blob is what its name says.
func (s *Store) sound(id gitobj.ID) error {
	kind, data, err := s.log.Get(id)
	if err != nil {
		return err
	}
	if have := gitobj.Hash(kind, data); have != id || kind != gitobj.KindBlob {
		return fmt.Errorf("object %s has the content of %s %s: %w", id, kind, have, ErrCorrupt)
	}
	return nil
}

// pause waits, and says whether it did so to the end.
func (s *Store) pause(ctx context.Context, d time.Duration) bool {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
	case <-s.stop:
	}
	return false
}

// versions yields all that a past is made of.
func (p *Past) versions(yield func(key string, v *version) error) error {
	for _, f := range p.kept {
		if err := yield(f.key, f.ver); err != nil {
			return err
		}
	}
	for n := p.events.from(p.from); n < p.events.next; n++ {
		ev := p.events.at(n)
		if ev.after.mod > p.Revision {
			break
		}
		if err := yield(ev.key, ev.after); err != nil {
			return err
		}
	}
	return nil
}
