// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// aged returns a disk with everything on it that a journal can have, and its keys.
func aged(t *testing.T) (*vfs.Mem, map[string]string) {
	t.Helper()
	disk, want := &vfs.Mem{}, map[string]string{}
	b, err := branch.Open(t.Context(), disk, dir, journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}, storeOptions())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		key, value := fmt.Sprintf("/registry/pods/d%d/%d", i%2, i%20), fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 100))
		want[key] = value
		if _, err := b.Store.Txn(t.Context(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: key, Value: []byte(value)}}}}); err != nil {
			t.Fatal(err)
		}
		if i%9 == 0 {
			if err := b.Journal.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return disk, want
}

// outcome is what became of damage.
type outcome struct {
	err    error // of opening and reading
	broken []string
}

// read opens a disk and reads everything, now and in the past, in memory and from Git's side.
func read(ctx context.Context, disk *vfs.Mem, want map[string]string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("PANIC: %v", p)
		}
	}()
	b, err := branch.Open(ctx, disk, dir, journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}, storeOptions())
	if err != nil {
		return err
	}
	var errs []error
	for key, value := range want {
		have, _, err := b.Store.KeyState(key)
		if err == nil && string(have) != value {
			errs = append(errs, fmt.Errorf("WRONG VALUE: %s is %.60q", key, have))
		}
		errs = append(errs, err)
	}
	for rev := b.Store.Revision(); rev > max(b.Store.CompactRevision(), 1); rev -= 7 {
		_, err := b.Store.Range(ctx, mvcc.RangeRequest{Key: "\x00", End: "\x00", Revision: rev})
		errs = append(errs, err)
	}
	_, err = b.Store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "/registry/pods/d0/new", Value: []byte("new")}}}})
	errs = append(errs, err)
	_, err = b.Store.Flush(ctx)
	return errors.Join(append(errs, err, b.Close(ctx))...)
}

// region says of what kind a file is.
func region(name string) string {
	switch {
	case strings.Contains(name, "pack-67697463642d"):
		return "tail"
	case strings.HasSuffix(name, ".open"):
		return "open segment"
	case strings.HasSuffix(name, ".pack"):
		return "sealed pack"
	case strings.HasSuffix(name, ".idx"):
		return "index"
	case strings.HasSuffix(name, ".keep"):
		return "keep"
	default:
		return name[strings.LastIndex(name, "/")+1:]
	}
}

// decisive are the files whose damage must be found: the others are hints, for Git or for people.
var decisive = map[string]bool{"format": true, "open segment": true, "sealed pack": true, "index": true, "checkpoint": true, "state": true}

// TestF3F4BitRot damages each file at many places: reading gives the values that were written or an
// error that names the file and the mend, and the check names what reading finds, and more.
func TestF3F4BitRot(t *testing.T) {
	t.Parallel()
	disk, want := aged(t)
	random := rand.New(rand.NewPCG(4, 4))
	samples := 60
	if testing.Short() {
		samples = 10
	}
	counts := map[string]*tally{}
	files := disk.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		c := counts[region(name)]
		if c == nil {
			c = &tally{}
			counts[region(name)] = c
		}
		n := samples
		if !decisive[region(name)] && region(name) != "packed-refs" {
			n = 4
		}
		used := len(strings.TrimRight(string(content), "\x00"))
		for range min(n, used) {
			at := random.IntN(used)
			if region(name) == "open segment" && at >= 8 && at < 12 {
				continue // the number of entries: nobody reads it before it is written for good
			}
			rotten := disk.CrashClone(vfs.Kill, nil)
			if err := rotten.Overwrite(name, int64(at), []byte{content[at] ^ byte(1<<random.IntN(8))}); err != nil {
				t.Fatal(err)
			}
			var o outcome
			checked := rotten.CrashClone(vfs.Kill, nil)
			if err := branch.Check(t.Context(), checked, dir, nil, func(law, where string) { o.broken = append(o.broken, law+": "+where) }); err != nil {
				o.broken = append(o.broken, "error: "+err.Error())
			}
			o.err = read(t.Context(), rotten, want)
			c.add(o)
			if why := o.wrong(name); why != "" {
				t.Errorf("%s at byte %d of %d: %s\n  read: %v\n  check: %v", name, at, used, why, o.err, o.broken)
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%-14s %+v", kind, *counts[kind])
	}
}

// tally counts what became of the damage to one kind of file.
type tally struct{ damaged, refused, found, harmless int }

func (c *tally) add(o outcome) {
	c.damaged++
	switch {
	case o.err != nil:
		c.refused++
	case len(o.broken) > 0:
		c.found++
	default:
		c.harmless++
	}
}

// wrong says what must not be.
func (o outcome) wrong(name string) string {
	text := fmt.Sprint(o.err)
	where, addressed := errors.AsType[*journal.Error](o.err)
	switch {
	case strings.Contains(text, "PANIC"), strings.Contains(text, "WRONG VALUE"):
		return "the damage shows"
	case o.err != nil && (!addressed || where.File == "" || where.Hint == ""):
		return "the error does not say where and what to do"
	case o.err != nil && len(o.broken) == 0:
		return "the check does not find what reading finds"
	case decisive[region(name)] && len(o.broken) == 0:
		return "the check finds nothing"
	case len(o.broken) > 0 && !strings.Contains(strings.Join(o.broken, " "), strings.TrimSuffix(strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], ".idx"), ".pack")):
		return "the check does not name the file"
	default:
		return ""
	}
}
