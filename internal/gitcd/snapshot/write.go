// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// batchBytes is how much of the keys one transaction writes.
const batchBytes = 4 << 20

// File is a database that was written.
type File struct {
	db     *bolt.DB
	remove string // on Close, if not empty
}

// Write makes a database of a state and its changes at a path where there is
// nothing yet. It need not survive a crash: nothing is synced.
func Write(ctx context.Context, path string, s *State, changes Changes) (_ *File, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoGrowSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("make snapshot %s: %w", path, err)
	}
	db.NoSync = true
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write snapshot %s: %w", path, err), db.Close())
		}
	}()
	if err = db.Update(s.write); err != nil {
		return nil, err
	}
	if err = writeKeys(ctx, db, changes); err != nil {
		return nil, err
	}
	return &File{db: db}, nil
}

// write fills all buckets but the keys'.
func (s *State) write(tx *bolt.Tx) error {
	for _, name := range buckets {
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		lines, err := s.entries(string(name))
		if err != nil {
			return err
		}
		for _, e := range lines {
			if err := b.Put(e.key, e.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeKeys fills the bucket key, in transactions of bounded size.
func writeKeys(ctx context.Context, db *bolt.DB, changes Changes) (err error) {
	var tx *bolt.Tx
	defer func() {
		if tx != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	size := 0
	end := func() error {
		if tx == nil {
			return nil
		}
		done := tx
		tx, size = nil, 0
		return done.Commit()
	}
	var keys *bolt.Bucket
	err = changes(ctx, func(c *Change) error {
		if tx == nil {
			if tx, err = db.Begin(true); err != nil {
				tx = nil
				return err
			}
			keys = tx.Bucket(bucketKey)
			keys.FillPercent = 0.9 // they come in order
		}
		value := appendKeyValue(nil, c)
		if err := keys.Put(appendRevision(nil, c.Revision, c.Sub, c.Deleted), value); err != nil {
			return err
		}
		if size += len(value) + tombstoneSize; size < batchBytes {
			return nil
		}
		return end()
	})
	if err != nil {
		return err
	}
	return end()
}

// Close closes the database, and removes it if it was in a spool.
func (f *File) Close() error {
	err := f.db.Close()
	if f.remove != "" {
		err = errors.Join(err, os.Remove(f.remove))
	}
	return err
}

// Stream writes the database, and behind it the sum by which etcd's tools know
// that it is whole. Before anything is written, begin is told how large the database is.
func (f *File) Stream(begin func(size int64), w io.Writer) error {
	return f.db.View(func(tx *bolt.Tx) error {
		begin(tx.Size())
		sum := sha256.New()
		if _, err := tx.WriteTo(io.MultiWriter(w, sum)); err != nil {
			return fmt.Errorf("stream snapshot: %w", err)
		}
		if _, err := w.Write(sum.Sum(nil)); err != nil {
			return fmt.Errorf("stream snapshot: %w", err)
		}
		return nil
	})
}
