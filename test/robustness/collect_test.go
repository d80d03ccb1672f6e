// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// collector links each segment of a journal to another directory while it is
// open. Whatever becomes of the segment's name, sealed, repacked, dropped: its
// bytes stay.
type collector struct {
	from, to string

	ending sync.Once
	quit   chan struct{}
	done   chan struct{}
	err    error
}

func collect(from, to string) *collector {
	c := &collector{from: from, to: to, quit: make(chan struct{}), done: make(chan struct{})}
	go c.run()
	return c
}

func (c *collector) run() {
	defer close(c.done)
	if c.err = os.MkdirAll(c.to, 0o755); c.err != nil {
		return
	}
	for {
		if c.err = c.pass(); c.err != nil {
			return
		}
		select {
		case <-c.quit:
			c.err = c.pass()
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (c *collector) pass() error {
	entries, err := os.ReadDir(c.from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "seg-") || !strings.HasSuffix(e.Name(), ".open") {
			continue
		}
		from, to := filepath.Join(c.from, e.Name()), filepath.Join(c.to, e.Name())
		if err := link(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// link makes to another name of the file that from is the name of now.
func link(from, to string) error {
	have, err := os.Stat(to)
	if err == nil {
		now, err := os.Stat(from)
		if err != nil || os.SameFile(have, now) {
			return err
		}
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	return os.Link(from, to)
}

// end looks once more, and stops.
func (c *collector) end() error {
	c.ending.Do(func() { close(c.quit) })
	<-c.done
	return c.err
}
