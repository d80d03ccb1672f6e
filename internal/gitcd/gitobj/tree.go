// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitobj

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The modes gitcd writes. Trees written by others may hold more.
const (
	ModeFile uint32 = 0o100644
	ModeDir  uint32 = 0o040000
)

// modeKind masks the bits of a mode that say what an entry is.
const modeKind = 0o170000

// ErrMalformed is wrapped by every error about content that is not an object of its kind.
var ErrMalformed = errors.New("malformed object")

// Entry is one line of a tree.
type Entry struct {
	Mode uint32
	Name string
	ID   ID
}

// IsDir says whether the entry is a tree.
func (e Entry) IsDir() bool { return e.Mode&modeKind == ModeDir }

// Compare orders entries as Git does: by name, a directory's name ending in a slash.
func (e Entry) Compare(other Entry) int {
	n := min(len(e.Name), len(other.Name))
	if c := strings.Compare(e.Name[:n], other.Name[:n]); c != 0 {
		return c
	}
	return int(e.after(n)) - int(other.after(n))
}

// after returns the byte at n of the name, as Git's order sees it.
func (e Entry) after(n int) byte {
	switch {
	case n < len(e.Name):
		return e.Name[n]
	case e.IsDir():
		return '/'
	default:
		return 0
	}
}

// Tree is a directory: its entries in Git's order.
type Tree []Entry

// Sort brings the entries into Git's order.
func (t Tree) Sort() { slices.SortFunc(t, Entry.Compare) }

// Find returns where the entry with this name and nature is, or where it would go.
func (t Tree) Find(name string, dir bool) (int, bool) {
	want := Entry{Mode: ModeFile, Name: name}
	if dir {
		want.Mode = ModeDir
	}
	return slices.BinarySearchFunc(t, want, Entry.Compare)
}

// Size returns the length of the encoded tree.
func (t Tree) Size() int {
	n := 0
	for _, e := range t {
		n += EntrySize(e)
	}
	return n
}

// EntrySize returns the length of one encoded entry.
func EntrySize(e Entry) int {
	digits := 0
	for m := e.Mode; m > 0; m >>= 3 {
		digits++
	}
	return max(digits, 1) + 1 + len(e.Name) + 1 + IDSize
}

// Encode returns the tree's content. The entries must be in Git's order.
func (t Tree) Encode() []byte {
	out := make([]byte, 0, t.Size())
	for _, e := range t {
		out = AppendEntry(out, e)
	}
	return out
}

// AppendEntry appends one encoded entry to dst.
func AppendEntry(dst []byte, e Entry) []byte {
	dst = strconv.AppendUint(dst, uint64(e.Mode), 8)
	dst = append(dst, ' ')
	dst = append(dst, e.Name...)
	dst = append(dst, 0)
	return append(dst, e.ID[:]...)
}

// DecodeTree reads a tree's content.
func DecodeTree(content []byte) (Tree, error) {
	t := make(Tree, 0, bytes.Count(content, []byte{0})/2+1)
	for at := 0; at < len(content); {
		e, n, err := decodeEntry(content[at:])
		if err != nil {
			return nil, fmt.Errorf("decode tree at byte %d: %w", at, err)
		}
		if len(t) > 0 && t[len(t)-1].Compare(e) >= 0 {
			return nil, fmt.Errorf("decode tree at byte %d: %q is not in order: %w", at, e.Name, ErrMalformed)
		}
		t = append(t, e)
		at += n
	}
	return t, nil
}

func decodeEntry(b []byte) (Entry, int, error) {
	space := bytes.IndexByte(b, ' ')
	if space < 1 || space > 7 {
		return Entry{}, 0, fmt.Errorf("no mode: %w", ErrMalformed)
	}
	mode, err := modeBits(b[:space])
	if err != nil {
		return Entry{}, 0, err
	}
	end := bytes.IndexByte(b[space:], 0)
	if end < 0 || len(b) < space+end+1+IDSize {
		return Entry{}, 0, fmt.Errorf("cut short: %w", ErrMalformed)
	}
	name := b[space+1 : space+end]
	if len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
		return Entry{}, 0, fmt.Errorf("name %q is empty or has a slash: %w", name, ErrMalformed)
	}
	e := Entry{Mode: mode, Name: string(name)}
	at := space + end + 1
	copy(e.ID[:], b[at:at+IDSize])
	return e, at + IDSize, nil
}

func modeBits(digits []byte) (mode uint32, err error) {
	for _, c := range digits {
		if c < '0' || c > '7' {
			return 0, fmt.Errorf("mode %q is not octal: %w", digits, ErrMalformed)
		}
		mode = mode<<3 | uint32(c-'0')
	}
	return mode, nil
}
