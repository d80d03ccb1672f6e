// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

var (
	// ErrCorrupt says that bytes which were durable are damaged or gone.
	ErrCorrupt = errors.New("journal is corrupt")
	// ErrFailed says that a write or sync failed before: what is on the disk is
	// no longer known, and only opening the journal anew finds out.
	ErrFailed = errors.New("journal has failed and must be opened anew")
	// ErrNoSpace says that the disk is full. Nothing was written: try again when there is room.
	ErrNoSpace = errors.New("no space left for the journal")
	// ErrNotFound says that there is no such object.
	ErrNotFound = errors.New("object not found")
	// ErrTooLarge says that an Append does not fit into a segment: split it.
	ErrTooLarge = errors.New("batch is too large")
	// ErrBadRef says that Git would not take the name of a ref.
	ErrBadRef = errors.New("not a legal ref")
	// ErrClosed says that the journal was closed.
	ErrClosed = errors.New("journal is closed")
	// ErrForeign says that a directory is not a repository that gitcd can serve.
	ErrForeign = errors.New("not a repository for gitcd")
)

// Error says what went wrong where, and what to do about it.
type Error struct {
	Op     string // what was being done: open, recover, append ...
	File   string
	Offset int64 // in File; negative if it is about all of it
	Err    error
	Hint   string // Optional.
}

// Error gives the address and the hint.
func (e *Error) Error() string {
	where := e.File
	if e.Offset >= 0 {
		where = fmt.Sprintf("%s at byte %d", e.File, e.Offset)
	}
	text := fmt.Sprintf("%s journal: %s: %v", e.Op, where, e.Err)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// hintRestore is what to do about damage.
const hintRestore = "the disk lost or changed bytes that were synced: keep a copy of the directory, " +
	"then restore it from a backup or remove it and let `gitcd init` clone the upstream"

// hintDisk is what to do about a disk that fails.
const hintDisk = "look at the kernel's log and at the disk"

// RefConflictError says that a ref is not what an update expects. Nothing was written.
type RefConflictError struct {
	Name       string
	Want, Have gitobj.ID
}

// Error names the ref and both ids.
func (e *RefConflictError) Error() string {
	return fmt.Sprintf("update %s: it is %s, not %s", e.Name, idOrNone(e.Have), idOrNone(e.Want))
}

func idOrNone(id gitobj.ID) string {
	if id.IsZero() {
		return "absent"
	}
	return id.String()
}
