// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrCompacted says that a revision is older than the history kept.
	ErrCompacted = errors.New("required revision has been compacted")
	// ErrFutureRev says that a revision has not been reached yet.
	ErrFutureRev = errors.New("required revision is a future revision")
	// ErrKeyNotFound says that a put wants to keep the value or lease of a key that does not exist.
	ErrKeyNotFound = errors.New("key not found")
	// ErrLeaseNotFound says that there is no such lease, or no longer.
	ErrLeaseNotFound = errors.New("requested lease not found")
	// ErrLeaseExists says that the id asked for is taken.
	ErrLeaseExists = errors.New("lease already exists")
	// ErrLeaseTTLTooLarge says that a lease is to live longer than MaxLeaseTTL.
	ErrLeaseTTLTooLarge = errors.New("too large lease TTL")
	// ErrEmptyWatcherRange says that a watch's range ends before it begins.
	ErrEmptyWatcherRange = errors.New("mvcc: watcher range is empty")
	// ErrWatcherExists says that a watch id is in use on its stream.
	ErrWatcherExists = errors.New("mvcc: duplicate watch ID provided on the WatchStream")
	// ErrWatcherNotFound says that a stream has no watch with this id.
	ErrWatcherNotFound = errors.New("mvcc: watcher does not exist")
	// ErrStale says that keys changed since a merge was computed. See StaleError.
	ErrStale = errors.New("keys changed since the merge was computed")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrNoSpace says that there is no room for a change, or that there was none and AlarmNoSpace is still on. Nothing was written.
	ErrNoSpace = errors.New("database space exceeded; free some space, then end the alarm NOSPACE")
	// ErrCorrupt says that AlarmCorrupt is on.
	ErrCorrupt = errors.New("the store is corrupt; restore it, then end the alarm CORRUPT")
	// ErrReadOnly says that the store was opened for reading.
	ErrReadOnly = errors.New("the store was opened for reading")
	// ErrFailed says that the store could not write and acknowledges nothing any more.
	ErrFailed = errors.New("store has failed")
	// ErrForeignHead says that someone else moved the branch.
	ErrForeignHead = errors.New("the branch was moved by another writer")
	// ErrBadRecord says that an op record or checkpoint cannot be read.
	ErrBadRecord = errors.New("malformed op record")
)

// StaleError lists the keys that a merge has to merge again.
type StaleError struct{ Keys []string }

func (e *StaleError) Error() string {
	return fmt.Sprintf("merge: %v: %s", ErrStale, strings.Join(e.Keys, ", "))
}

// Is makes a StaleError an ErrStale.
func (e *StaleError) Is(target error) bool { return target == ErrStale }
