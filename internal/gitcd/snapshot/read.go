// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// sectorSize is what sizes of databases are multiples of: what is over is a sum.
const sectorSize = 512

// Snapshot is a snapshot that is open for reading.
type Snapshot struct {
	db       *bolt.DB
	resident *resident
	// State is what it says beside the changes.
	State State
}

// ErrNoSum says that a snapshot has no sum at its end: it was copied from a data directory.
var ErrNoSum = errors.New("it has no checksum")

// Open opens a snapshot, or, with unsummed, the database of an etcd that has
// stopped, which has no sum at its end. It checks what it opens.
func Open(path string, unsummed bool) (_ *Snapshot, err error) {
	if err := checkSum(path); err != nil && (!unsummed || !errors.Is(err, ErrNoSum)) {
		return nil, fmt.Errorf("open snapshot %s: %w", path, err)
	}
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w: %w", path, ErrMalformed, err)
	}
	s := &Snapshot{db: db}
	if s.resident, err = newResident(db, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot %s: %w", path, err), db.Close())
	}
	if err := db.View(s.check); err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot %s: %w", path, err), db.Close())
	}
	return s, nil
}

// Close closes the snapshot.
func (s *Snapshot) Close() error { return s.db.Close() }

// checkSum compares the sum at the end of a file with what is before it, if there is one.
func checkSum(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size%sectorSize != sha256.Size {
		return ErrNoSum
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, f, size-sha256.Size); err != nil {
		return err
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(f, want); err != nil {
		return err
	}
	if string(sum.Sum(nil)) != string(want) {
		return fmt.Errorf("its sum is %x, it says %x: %w; save it again", sum.Sum(nil), want, ErrMalformed)
	}
	return nil
}

// check looks at the structure of the database, and reads all but the keys.
func (s *Snapshot) check(tx *bolt.Tx) (err error) {
	if err := s.resident.during(tx.Check()); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	keys, meta := tx.Bucket(bucketKey), tx.Bucket(bucketMeta)
	if keys == nil || meta == nil {
		return fmt.Errorf("it has no bucket key or meta: %w", ErrMalformed)
	}
	if err := s.readMeta(meta); err != nil {
		return err
	}
	if last, _ := keys.Cursor().Last(); last != nil {
		revision, _, _, err := parseRevision(last)
		if err != nil {
			return err
		}
		s.State.Revision = revision
	}
	s.State.Revision = max(s.State.Revision, s.State.Compacted, 1)
	if s.State.Auth, err = readAuth(tx); err != nil {
		return err
	}
	if b := tx.Bucket(bucketLease); b != nil {
		err := b.ForEach(func(_, v []byte) error {
			l, err := parseLease(v)
			s.State.Leases = append(s.State.Leases, l)
			return err
		})
		if err != nil {
			return fmt.Errorf("read leases: %w", err)
		}
	}
	if b := tx.Bucket(bucketAlarm); b != nil {
		err := b.ForEach(func(k, _ []byte) error {
			a, err := parseAlarm(k)
			s.State.Alarms = append(s.State.Alarms, a)
			return err
		})
		if err != nil {
			return fmt.Errorf("read alarms: %w", err)
		}
	}
	return nil
}

func (s *Snapshot) readMeta(meta *bolt.Bucket) error {
	for _, name := range [][]byte{metaFinished, metaScheduled} {
		rev, err := compactedIn(meta.Get(name))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		s.State.Compacted = max(s.State.Compacted, rev)
	}
	if v := meta.Get(metaIndex); len(v) == 8 {
		s.State.Index = binary.BigEndian.Uint64(v)
	}
	if v := meta.Get(metaTerm); len(v) == 8 {
		s.State.Term = binary.BigEndian.Uint64(v)
	}
	s.State.StorageVersion = string(meta.Get(metaVersion))
	return nil
}

// Changes yields the changes that clients could still see: those since the
// compaction, and of each key the last one before it.
func (s *Snapshot) Changes(ctx context.Context, yield func(*Change) error) error {
	return s.db.View(func(tx *bolt.Tx) error {
		last, err := s.lastBefore(ctx, tx)
		if err != nil {
			return err
		}
		return s.each(ctx, tx.Bucket(bucketKey), func(c *Change) error {
			if c.Revision <= s.State.Compacted && last[string(c.Key)] != place(c) {
				return nil
			}
			if c.Deleted && c.Revision < s.State.Compacted || len(c.Key) == 0 {
				return nil // a revision that was skipped by a restore has no key
			}
			return yield(c)
		})
	})
}

// at is the place of a change in the bucket.
type at struct{ revision, sub int64 }

func place(c *Change) at { return at{revision: c.Revision, sub: c.Sub} }

// lastBefore finds each key's last change up to the compaction. A compaction
// that etcd had only begun has left more.
func (s *Snapshot) lastBefore(ctx context.Context, tx *bolt.Tx) (map[string]at, error) {
	out := map[string]at{}
	err := s.each(ctx, tx.Bucket(bucketKey), func(c *Change) error {
		if c.Revision > s.State.Compacted {
			return io.EOF
		}
		out[string(c.Key)] = place(c)
		return nil
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return out, err
}

func (s *Snapshot) each(ctx context.Context, keys *bolt.Bucket, yield func(*Change) error) error {
	cursor := keys.Cursor()
	n := 0
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var c Change
		var err error
		if c.Revision, c.Sub, c.Deleted, err = parseRevision(k); err != nil {
			return err
		}
		if err := parseKeyValue(v, &c); err != nil {
			return fmt.Errorf("revision %d: %w", c.Revision, err)
		}
		if err := yield(&c); err != nil {
			return err
		}
		s.resident.add(len(k) + len(v))
	}
	return nil
}
