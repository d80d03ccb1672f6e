// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// diskTimes are the milliseconds of a write and its fdatasync, a sample for each round.
type diskTimes struct {
	Shapes []*diskShape `json:"shapes"`
	// Others is the bytes a second that reach the disk while nothing is measured.
	Others []float64 `json:"others"`
}

// diskShape is a way to write.
type diskShape struct {
	Name string    `json:"name"`
	Size int       `json:"size"`
	Over bool      `json:"over"` // over zeros that are on the disk already, as a preallocated log has them
	P50  []float64 `json:"p50"`
	P99  []float64 `json:"p99"`
}

func newDiskTimes() *diskTimes {
	return &diskTimes{Shapes: []*diskShape{
		{Name: "append 512 B", Size: 512},
		{Name: "append 4 KiB", Size: 4096},
		{Name: "4 KiB over zeros", Size: 4096, Over: true},
		{Name: "64 KiB over zeros", Size: 64 << 10, Over: true},
	}}
}

// over4k is the median time that this disk takes for 4 KiB over what is there:
// the least that a durable write costs.
func (d *diskTimes) over4k() float64 { return middle(d.Shapes[2].P50) }

// disks measures the disk itself, so that the distance from it can be told.
func (b *bench) disks(ctx context.Context, _ int) error {
	if err := syncFS(b.dir); err != nil {
		return err
	}
	d := diskOf(b.dir)
	before, _ := d.counters()
	time.Sleep(idleLook)
	after, _ := d.counters()
	b.disk.Others = append(b.disk.Others, float64(after-before)/idleLook.Seconds())
	for _, s := range b.disk.Shapes {
		if err := s.measure(ctx, b.dir, b.scale.length/3); err != nil {
			return err
		}
		n := len(s.P50) - 1
		b.say("fdatasync, %-18s p50 %.3f ms  p99 %.3f ms", s.Name, s.P50[n], s.P99[n])
	}
	return nil
}

// idleLook is how long the disk is watched while nothing is measured.
const idleLook = time.Second

// add adds the samples of another run.
func (d *diskTimes) add(other *diskTimes) {
	for i, s := range d.Shapes {
		s.P50 = append(s.P50, other.Shapes[i].P50...)
		s.P99 = append(s.P99, other.Shapes[i].P99...)
	}
	d.Others = append(d.Others, other.Others...)
}

// zeroed is how much of a file is written before it is written over.
const zeroed = 64 << 20

func (s *diskShape) measure(ctx context.Context, dir string, length time.Duration) error {
	f, err := os.Create(filepath.Join(dir, "fdatasync"))
	if err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if s.Over {
		if _, err := f.Write(make([]byte, zeroed)); err != nil {
			return fmt.Errorf("measure the disk: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("measure the disk: %w", err)
		}
	}
	buf := []byte(newValues(1, true).next())
	for len(buf) < s.Size {
		buf = append(buf, buf...)
	}
	var times []time.Duration
	for began, at := time.Now(), int64(0); time.Since(began) < length && ctx.Err() == nil; at += int64(s.Size) {
		if s.Over && at+int64(s.Size) > zeroed {
			at = 0
		}
		t := time.Now()
		if _, err := f.WriteAt(buf[:s.Size], at); err != nil {
			return fmt.Errorf("measure the disk: %w", err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return fmt.Errorf("measure the disk: %w", err)
		}
		times = append(times, time.Since(t))
	}
	slices.Sort(times)
	s.P50, s.P99 = append(s.P50, quantile(times, 0.5)), append(s.P99, quantile(times, 0.99))
	return ctx.Err()
}

// markdown prints what the disk can do.
func (d *diskTimes) markdown() string {
	var out strings.Builder
	out.WriteString("| write and fdatasync | p50 | p99 |\n| --- | ---: | ---: |\n")
	for _, s := range d.Shapes {
		if len(s.P50) > 0 {
			fmt.Fprintf(&out, "| %s | %.3f ms | %.3f ms |\n", s.Name, middle(s.P50), middle(s.P99))
		}
	}
	if len(d.Others) > 0 {
		fmt.Fprintf(&out, "\nWhile nothing was measured, others wrote %.0f KB a second to this disk.\n", middle(d.Others)/1e3)
	}
	return out.String()
}
