// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const (
	// residentBytes are how much is read of a database before its pages are given back.
	residentBytes = 8 << 20
	// residentTime is the same for reading that cannot be counted.
	residentTime = 5 * time.Millisecond
)

// resident gives the pages of a mapped database back while it is read once from
// one end to the other. The kernel would take them back when it needs them;
// until then the process looks as large as the database.
type resident struct {
	db   *bolt.DB
	size uintptr
	read int
}

func newResident(db *bolt.DB, path string) (*resident, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &resident{db: db, size: uintptr(info.Size())}, nil //nolint:gosec // sizes are positive
}

// add counts bytes that were read.
func (r *resident) add(n int) {
	if r.read += n; r.read >= residentBytes {
		r.release()
	}
}

// release gives back what is in memory. What is needed again is read again.
func (r *resident) release() {
	r.read = 0
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, r.db.Info().Data, r.size, unix.MADV_DONTNEED) // advice that is not taken costs memory only
}

// during releases again and again until a check has found what there is to find, and returns its first error.
func (r *resident) during(found <-chan error) (first error) {
	tick := time.NewTicker(residentTime)
	defer tick.Stop()
	defer r.release()
	for {
		select {
		case err, more := <-found:
			if !more {
				return first
			}
			if first == nil {
				first = err
			}
		case <-tick.C:
			r.release()
		}
	}
}
