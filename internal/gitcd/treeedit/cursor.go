// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit

import (
	"bytes"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// cursor reads an encoded tree entry by entry without decoding the rest. It
// is what a compare of two directories of 100,000 names spends its time in.
type cursor struct {
	data []byte
	at   int // where the current entry begins
	next int // where the one after it begins; equal to at behind the end

	name []byte
	dir  bool
}

// newCursor stands on the first entry.
func newCursor(data []byte) (cursor, error) {
	c := cursor{data: data}
	err := c.read()
	return c, err
}

// done says whether the cursor is behind the last entry.
func (c *cursor) done() bool { return c.at == len(c.data) }

// entry returns the bytes of the current entry.
func (c *cursor) entry() []byte { return c.data[c.at:c.next] }

// id returns the id of the current entry.
func (c *cursor) id() (id gitobj.ID) {
	copy(id[:], c.data[c.next-gitobj.IDSize:c.next])
	return id
}

// mode returns the mode's digits.
func (c *cursor) mode() []byte {
	return c.data[c.at : c.next-gitobj.IDSize-1-len(c.name)-1]
}

// advance moves to the next entry.
func (c *cursor) advance() error {
	name, dir := c.name, c.dir
	c.at = c.next
	if err := c.read(); err != nil {
		return err
	}
	if !c.done() && order(name, dir, c.name, c.dir) >= 0 {
		return fmt.Errorf("read tree at byte %d: %q is not in order: %w", c.at, c.name, gitobj.ErrMalformed)
	}
	return nil
}

func (c *cursor) read() error {
	if c.done() {
		return nil
	}
	rest := c.data[c.at:]
	space := bytes.IndexByte(rest[:min(len(rest), 8)], ' ')
	if space < 1 {
		return fmt.Errorf("read tree at byte %d: no mode: %w", c.at, gitobj.ErrMalformed)
	}
	size := bytes.IndexByte(rest[space+1:], 0)
	end := space + 1 + size + 1 + gitobj.IDSize
	if size < 1 || end > len(rest) {
		return fmt.Errorf("read tree at byte %d: no name, or cut short: %w", c.at, gitobj.ErrMalformed)
	}
	c.name = rest[space+1 : space+1+size]
	c.dir = string(rest[:space]) == "40000"
	c.next = c.at + end
	return nil
}

// order compares two entries as Git does: a directory's name ends in a slash.
func order(a []byte, aDir bool, b []byte, bDir bool) int {
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
