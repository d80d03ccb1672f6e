// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitobj

import (
	"bytes"
	"fmt"
)

// Cursor reads an encoded tree entry by entry without decoding the rest. It is
// for directories of 100,000 names, of which a few are of interest: Pass and
// Seek look only at entries near the place they go to. What they do not look at
// they take to be a tree's, in order; who does not know that it is calls Check.
// The fields are for reading.
type Cursor struct {
	Data []byte
	At   int // where the current entry begins
	Next int // where the one after it begins; equal to At behind the end

	Name []byte
	Dir  bool
}

// NewCursor stands on the first entry.
func NewCursor(data []byte) (Cursor, error) {
	c := Cursor{Data: data}
	err := c.read()
	return c, err
}

// Done says whether the cursor is behind the last entry.
func (c *Cursor) Done() bool { return c.At == len(c.Data) }

// Entry returns the bytes of the current entry.
func (c *Cursor) Entry() []byte { return c.Data[c.At:c.Next] }

// ID returns the id of the current entry.
func (c *Cursor) ID() ID { return ID(c.Data[c.Next-IDSize : c.Next]) }

// Mode returns the mode's digits.
func (c *Cursor) Mode() []byte {
	return c.Data[c.At : c.Next-IDSize-1-len(c.Name)-1]
}

// Bits returns the mode as a number.
func (c *Cursor) Bits() (uint32, error) { return modeBits(c.Mode()) }

// Compare orders the current entry and a name as Git does: a directory's name ends in a slash.
func (c *Cursor) Compare(name []byte, dir bool) int { return CompareNames(c.Name, c.Dir, name, dir) }

// Advance moves to the next entry.
func (c *Cursor) Advance() error {
	name, dir := c.Name, c.Dir
	c.At = c.Next
	if err := c.read(); err != nil {
		return err
	}
	if !c.Done() && c.Compare(name, dir) <= 0 {
		return fmt.Errorf("read tree at byte %d: %q is not in order: %w", c.At, c.Name, ErrMalformed)
	}
	return nil
}

// Check moves to the end, and says whether all that it passes is a tree's, in order.
func (c *Cursor) Check() error {
	for !c.Done() {
		if err := c.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// Pass moves past the entries that lie whole in the next n bytes.
func (c *Cursor) Pass(n int) error {
	end := c.At + n
	c.At = boundary(c.Data, c.At, end)
	if err := c.read(); err != nil {
		return err
	}
	for !c.Done() && c.Next <= end {
		if err := c.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// Follow moves past n bytes, which are whole entries that another cursor has
// passed in a tree that is the same there.
func (c *Cursor) Follow(n int) error {
	c.At += n
	return c.read()
}

// near is how many bytes are faster read entry by entry than leapt over.
const near = 512

// Seek moves forward to the first entry that does not sort before a name. It
// looks at more entries the further away that is, but only as a logarithm grows.
func (c *Cursor) Seek(name []byte, dir bool) error {
	from, to := c.At, len(c.Data) // the entry lies at from, behind it, or at to
	for leap := near; from+leap < to; leap *= 2 {
		before, at, err := c.before(from, from+leap, name, dir)
		if err != nil {
			return err
		}
		if before {
			from = at
		} else {
			to = at
		}
	}
	for to-from > near {
		before, at, err := c.before(from, from+(to-from)/2, name, dir)
		switch {
		case err != nil:
			return err
		case !before:
			to = at
		case at > from:
			from = at
		default: // no entry is known between: look at each
			return c.scan(from, name, dir)
		}
	}
	return c.scan(from, name, dir)
}

// before looks at an entry up to a place, and says whether it sorts before a
// name. It is that at from, which does, if no other is found.
func (c *Cursor) before(from, upTo int, name []byte, dir bool) (bool, int, error) {
	probe := Cursor{Data: c.Data, At: boundary(c.Data, from, upTo)}
	if probe.At == from {
		return true, from, nil
	}
	err := probe.read()
	return err == nil && probe.Compare(name, dir) < 0, probe.At, err
}

func (c *Cursor) scan(from int, name []byte, dir bool) error {
	if c.At != from {
		c.At = from
		if err := c.read(); err != nil {
			return err
		}
	}
	for !c.Done() && c.Compare(name, dir) < 0 {
		if err := c.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// boundary returns where an entry of a tree begins: the last place up to upTo
// that is sure to be one, or from, which must be one. Where an entry begins
// cannot be told from the bytes at that place, as an id may be any bytes. But a
// NUL without another in the 20 bytes before it is in no id, hence ends a name.
func boundary(data []byte, from, upTo int) int {
	for end := upTo - IDSize; end > from; {
		nul := from + bytes.LastIndexByte(data[from:end], 0)
		if nul < from {
			break
		}
		if bytes.IndexByte(data[max(from, nul-IDSize):nul], 0) < 0 {
			return nul + 1 + IDSize
		}
		end = nul
	}
	return from
}

func (c *Cursor) read() error {
	if c.Done() {
		c.Next, c.Name, c.Dir = c.At, nil, false
		return nil
	}
	rest := c.Data[c.At:]
	space := bytes.IndexByte(rest[:min(len(rest), 8)], ' ')
	if space < 1 {
		return fmt.Errorf("read tree at byte %d: no mode: %w", c.At, ErrMalformed)
	}
	size := bytes.IndexByte(rest[space+1:], 0)
	end := space + 1 + size + 1 + IDSize
	if size < 1 || end > len(rest) {
		return fmt.Errorf("read tree at byte %d: no name, or cut short: %w", c.At, ErrMalformed)
	}
	c.Name = rest[space+1 : space+1+size]
	c.Dir = dirMode(rest[:space])
	c.Next = c.At + end
	return nil
}

// dirMode says whether a mode's digits are a directory's, as Git and Entry.IsDir do.
func dirMode(mode []byte) bool {
	if string(mode) == "40000" {
		return true
	}
	mode = bytes.TrimLeft(mode, "0")
	return len(mode) == 5 && mode[0] == '4'
}

// CompareNames orders two entries as Git does: a directory's name ends in a slash.
func CompareNames(a []byte, aDir bool, b []byte, bDir bool) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return int(after(a, aDir, n)) - int(after(b, bDir, n))
}

func after(name []byte, dir bool, n int) byte {
	switch {
	case n < len(name):
		return name[n]
	case dir:
		return '/'
	default:
		return 0
	}
}

// Common returns how many bytes two slices have in common at their beginnings.
func Common(a, b []byte) int {
	n := min(len(a), len(b))
	at := 0
	for block := 64; at < n; block = min(2*block, 4096) {
		end := min(at+block, n)
		if !bytes.Equal(a[at:end], b[at:end]) {
			break
		}
		at = end
	}
	for at < n && a[at] == b[at] {
		at++
	}
	return at
}
